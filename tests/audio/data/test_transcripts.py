"""Tables of transcripts: separators, columns, encodings, and the ways to name a file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from recordings import noise, save

from polygan import DataError
from polygan_audio.data.transcripts import read_table

FILES = ["a.wav", "b.flac", "sub/c.wav"]


def table(tmp_path, text, files=FILES, encoding="utf-8", prefixes=("wavs", "set")):
    path = tmp_path / "metadata.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read_table(path, files, prefixes)


@pytest.mark.parametrize(
    ("lines", "columns"),
    [
        (["a|first line", "b|second line"], "separated by |: files from column 1, text from column 2"),
        (["a\tfirst line", "b\tsecond line"], "separated by tab: files from column 1, text from column 2"),
        (["a,first line", "b,second line"], "separated by comma: files from column 1, text from column 2"),
        (["a,'first line'", 'b,"second line"'], "separated by comma: files from column 1, text from column 2"),
        (["first line|a", "second line|b"], "files from column 2, text from column 1"),
        (["a|first line|1", "b|second line|2"], "files from column 1, text from column 2"),
        (["a|ann|first line", "b|bob|second line"], "files from column 1, text from column 3"),
        (["a|First line|first line", "b|Second line|second line"], "text from column 3 else 2"),
        (["file_name,transcription", "a.wav,first line", "b.flac,second line"], "text from column 'transcription'"),
        (
            ["client\tpath\tsentence\tage", "x\ta.wav\tfirst line\tthirties", "y\tb.flac\tsecond line\ttwenties"],
            "separated by tab: files from column 'path', text from column 'sentence'",
        ),
    ],
)
def test_columns_are_told_by_what_they_hold(tmp_path, lines, columns):
    found = table(tmp_path, "\n".join(lines))
    assert [(row.file, row.text.strip("'").lower()) for row in found.rows] == [
        ("a.wav", "first line"),
        ("b.flac", "second line"),
    ]
    assert columns in found.columns
    assert [row.line for row in found.rows] == ([2, 3] if "'" in columns else [1, 2])


@pytest.mark.parametrize(
    ("named", "file"),
    [
        ("a", "a.wav"),
        ("a.wav", "a.wav"),
        ("wavs/a", "a.wav"),
        ("wavs/a.wav", "a.wav"),
        ("./wavs/a.wav", "a.wav"),
        ("wavs\\a.wav", "a.wav"),
        ("set/a.wav", "a.wav"),
        ("/home/someone/data/wavs/a.wav", "a.wav"),
        ("/data/sub/c.wav", "sub/c.wav"),
        ("c", "sub/c.wav"),
        ("other/c", ""),
        ("../a.wav", ""),
        ("", ""),
    ],
)
def test_a_file_is_found_however_its_place_is_written(tmp_path, named, file):
    assert [row.file for row in table(tmp_path, f"b|some text\n{named}|first line").rows] == ["b.flac", file]


def test_a_name_that_fits_two_files_is_none(tmp_path):
    files = ["p1/001.wav", "p2/001.wav"]
    found = table(tmp_path, "001|first line\np2/001|second line\np3/001|third", files)
    assert [row.file for row in found.rows] == ["", "p2/001.wav", ""]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_a_mark_are_read(tmp_path, encoding):
    (row,) = table(tmp_path, "a|Grüße, 春眠", encoding=encoding).rows
    assert (row.file, row.text) == ("a.wav", "Grüße, 春眠")


def test_another_encoding_is_named_once_with_its_remedy(tmp_path):
    with pytest.raises(DataError, match=r"metadata\.csv line 2 is not UTF-8 \(byte 0xe9\); .*iconv -f ISO-8859-1"):
        table(tmp_path, "a|one\nb|caf\xe9".encode("latin-1"))


def test_a_table_of_gigabytes_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "metadata.csv").open("wb") as file:
        file.truncate(1 << 33)  # takes no space
    with pytest.raises(DataError, match=r"metadata\.csv has 8,589,934,592 bytes, more than"):
        read_table(tmp_path / "metadata.csv", FILES, ())


def test_a_line_without_a_transcript_names_its_place(tmp_path):
    rows = table(tmp_path, "a|first line\n\nb\n").rows
    assert [row.line for row in rows] == [1, 3]
    assert rows[1].problem.endswith("metadata.csv line 3 is not id|text")


def test_a_table_beside_its_recordings_is_read(tmp_path, opened):
    for name in ("a.wav", "b.wav"):
        save(tmp_path / "data" / name, noise(9000))
    (tmp_path / "data/metadata.tsv").write_text("file\ttext\na.wav\thello there\nb.wav\tgood bye\n")
    (tmp_path / "data/notes.pdf").touch()
    source, _ = opened()
    assert [r.text for r in source.recordings] == ["hello there", "good bye"]
    assert [(left.count, left.what) for left in source.left_out] == [(1, ".pdf file")]
    facts = dict(source.describe())
    assert facts["transcripts"].startswith("metadata.tsv, separated by tab: files from column 'file', text from")
    (tmp_path / "data/metadata.tsv").write_text("a table\tof other things\n")
    assert "transcripts" not in dict(opened()[0].describe())


def test_a_quote_that_never_ends_is_part_of_the_text(tmp_path):
    long = "word " * 40_000
    rows = table(tmp_path, f'a,"{long}\nb,good bye').rows
    assert [row.file for row in rows] == ["a.wav", "b.flac"]
    assert rows[0].text.startswith('"word word')


def test_cells_in_quotes_are_read_without_them_whatever_the_separator(tmp_path):
    for mark in "|\t,":
        rows = table(tmp_path, f'"a"{mark}"first | , line"\n"b"{mark}"he said ""no"""').rows
        assert [(row.file, row.text) for row in rows] == [("a.wav", "first | , line"), ("b.flac", 'he said "no"')]


def test_quotes_within_a_text_stay(tmp_path):
    rows = table(tmp_path, 'a|"Yes", he said\nb|and "no"').rows
    assert [row.text for row in rows] == ['"Yes", he said', 'and "no"']
