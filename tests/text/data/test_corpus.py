"""Files of text: lines, columns, classes, bad input."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import DOMAIN, LINES, texts

from polygan import DataError
from polygan.data import build_store, split_store
from polygan_text.data.settings import TextSettings


def test_lines_end_as_they_like_and_empty_ones_are_no_samples(source):
    got, _ = texts(source(b"\xef\xbb\xbfone two\r\n\r\n  \nthree four\rfive\nlast one", held_out=0.0))
    assert sorted(got["train"]) == ["last one", "one two", "three four five"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_columns_and_classes(source, kind):
    rows = [("good, film", "pos"), ("bad\nfilm", "neg"), ("fine film", "pos")]
    if kind == "jsonl":
        content = [json.dumps({"review": t, "mood": m}) for t, m in rows]
    else:
        mark = "," if kind == "csv" else "\t"
        content = [f"review{mark}mood", *(f'"{t}"{mark}{m}' for t, m in rows)]
    made, options = source(content, f"reviews.{kind}", column="review", label_column="mood", held_out=0.0)
    assert made.info["classes"] == ["pos", "neg"]
    store = build_store(made, options, progress=False)
    samples = DOMAIN.real(split_store(store, 0.0)["train"], np.arange(3))
    assert samples.data == ["good, film", "bad film", "fine film"]
    assert samples.labels.tolist() == [0, 1, 0]


def test_a_folder_of_files(tmp_path):
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/a.txt").write_text("one two\nthree")
    (tmp_path / "data/deep/b.txt.gz").write_bytes(gzip.compress(b"\nfour five\n"))
    (tmp_path / "data/picture.png").write_bytes(b"\x89PNG")
    made = DOMAIN.open(TextSettings(source=str(tmp_path / "data"), held_out=0.0))
    assert [made.name(i) for i in range(3)] == ["a.txt line 1", "a.txt line 2", "deep/b.txt.gz line 2"]


@pytest.mark.parametrize(
    ("content", "name", "settings", "message"),
    [
        (b"", "empty.txt", {}, "holds no text"),
        (b"\n \n\t\n", "blank.txt", {}, "holds no text"),
        (b"abc\0def", "binary.txt", {}, "is a binary file"),
        ("zwei".encode("utf-16"), "wide.txt", {}, "is UTF-16.*convert the file"),
        (b"same\nsame\nsame", "one.txt", {}, r"vocabulary of 1 token\(s\)"),
        (b"a b c d\nb c d e", "long.txt", {"max_length": 2, "too_long": "drop", "held_out": 0.0}, "more than 1 tokens"),
        (b"text\nhello", "a.csv", {"column": "txt"}, r"line 2 has no column 'txt' \(did you mean 'text'\?\)"),
        (b'{"text": 1}\n{"other": 2}', "a.jsonl", {}, "line 2 has no column 'text'; its columns are other"),
        (b'{"text": 1}\nnonsense', "a.jsonl", {}, "line 2 is not JSON"),
        (b"[1]", "a.jsonl", {}, "line 1 holds no object"),
        (b"text\nabc\nd\xff", "a.csv", {}, "line 3 is not UTF-8"),
        (b"a b\nb a", "plain.txt", {"label_column": "mood"}, "has no column 'mood'"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(source, content, name, settings, message):
    with pytest.raises(DataError, match=message):
        source(content, name, **settings)


def test_a_broken_archive(source, tmp_path):
    source(LINES, "a.txt.gz")
    path = tmp_path / "a.txt.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"a\.txt\.gz cannot be read"):
        DOMAIN.open(TextSettings(source=str(path)))


def test_a_row_without_a_text_is_skipped_and_half_a_character_is_counted(source):
    rows, _ = texts(source(b'{"text": "a b"}\n{"text": null}\n{"text": "b a"}', "a.jsonl", held_out=0.0))
    assert sorted(rows["train"]) == ["a b", "b a"]
    broken = b"\n".join([b'{"text": "a b"}'] * 19 + [b'{"text": "a \\ud83d"}'])
    made, options = source(broken, "b.jsonl", held_out=0.0)
    store = build_store(made, options, progress=False)
    assert (len(store), len(store.bad)) == (19, 1)
    assert "b.jsonl" in store.bad[0]
    with pytest.raises(DataError, match="line 3 has no value for 'kind'"):
        source(b"text,kind\na b,x\nc d", "c.csv", label_column="kind")


def test_json_that_is_not_read_by_the_line_is_refused(source):
    for name in ("a.json", "a.json.gz"):
        with pytest.raises(DataError, match=r"call the file \.jsonl"):
            source(b'[{"text": "a b"}]', name)
