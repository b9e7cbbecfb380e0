"""Files of text: lines, columns, classes, odd rows, bounds."""

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import DOMAIN, LINES, texts

from polygan import DataError
from polygan.data import build_store, split_store
from polygan_text.data.corpus import LONGEST
from polygan_text.data.reading import read_corpus
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
    assert samples.data == ["good, film", "bad\nfilm", "fine film"]
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
        (b"text\nhello", "a.csv", {"column": "txt"}, r"line 1 has no column 'txt' \(did you mean 'text'\?\)"),
        (b'{"text": 1}\n{"other": 2}', "a.jsonl", {}, "line 2: has no column 'text'"),
        (b'{"text": 1}\nnonsense', "a.jsonl", {}, "line 2: is not JSON"),
        (b'{"words": 1}\n{"other": 2}', "a.jsonl", {}, "line 1 has no column 'text'; its columns are words"),
        (b"text,text\na,b", "a.csv", {}, "line 1 has two columns 'text'"),
        (b"[1]", "a.jsonl", {}, "line 1: holds no object"),
        (b"text\nabc\nd\xff", "a.csv", {}, "line 3: is not UTF-8"),
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
    with pytest.raises(DataError, match="line 3: has 1 field, and the header has 2"):
        source(b"text,kind\na b,x\nc d", "c.csv", label_column="kind")


def test_json_that_is_not_read_by_the_line_is_refused(source):
    for name in ("a.json", "a.json.gz"):
        with pytest.raises(DataError, match=r"call the file \.jsonl"):
            source(b'[{"text": "a b"}]', name)


ROWS = [f"text {i} of the file" for i in range(40)]


def table(kind, rows):
    """Rows of (text, class) in a format, as a program writes them that quotes nothing."""
    if kind == "jsonl":
        return "\n".join(json.dumps({"text": t, "kind": c}) for t, c in rows).encode()
    mark = {"csv": ",", "tsv": "\t"}[kind]
    return "\n".join([f"text{mark}kind", *(f"{t}{mark}{c}" for t, c in rows)]).encode()


ODD = {
    "csv": [
        (b'"an open quote,a', "opens a quotation mark"),
        (b'"x" y,a', "has text behind a closing"),
        (b"x, y,a", "has 3 fields"),
    ],
    "tsv": [(b"x\ty\ta", "has 3 fields"), (b"x", "has 1 field")],
    "jsonl": [
        (b"{broken", "is not JSON"),
        (b'{"text": ["a", "b"], "kind": "a"}', "has a list in 'text', not text"),
        (b'{"text": {"a": 1}, "kind": "a"}', "has an object in 'text', not text"),
        (b'{"text": "a b"}', "has no column 'kind'"),
        (b'{"text": "a b", "kind": null}', "has no value for 'kind'"),
        (b'{"text": "a", "kind": "\\ud83d"}', "holds half a character"),
        (b'{"text": "a\\u0000b", "kind": "a"}', "holds a zero byte"),
        (b'{"a":' * 40_000, "is nested too deeply"),
        (b'["a"]', "holds no object"),
    ],
}
for _kind, _empty in (("csv", b"x,"), ("tsv", b"x\t"), ("jsonl", b'{"text": "x", "kind": " "}')):
    ODD[_kind] += [(_empty, "has no value for 'kind'"), (_empty.replace(b"x", b"stra\xdfe"), "is not UTF-8")]


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize(("kind", "row", "why"), [(k, row, why) for k, rows in ODD.items() for row, why in rows])
def test_an_odd_row_is_named_and_skipped_and_takes_no_other_row_with_it(source, kind, row, why, packed):
    good = [(t, "ab"[i % 2]) for i, t in enumerate(ROWS)]
    lines = table(kind, good).split(b"\n")
    lines.insert(20, row)
    made, options = source(b"\n".join(lines), f"rows.{kind}{packed}", label_column="kind", held_out=0.0)
    store = build_store(made, options, progress=False)
    assert (len(store), len(store.bad)) == (40, 1)
    assert f"rows.{kind}{packed} line 21: {why}" in store.bad[0]
    samples = DOMAIN.real(split_store(store, 0.0)["train"], np.arange(40))
    assert samples.data == ROWS
    assert samples.labels.tolist() == [i % 2 for i in range(40)]
    assert made.info["classes"] == ["a", "b"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_too_many_odd_rows_are_an_error_that_names_them(source, kind):
    row, why = ODD[kind][0]
    lines = table(kind, [(t, "a") for t in ROWS]).split(b"\n") + [row] * 8
    with pytest.raises(DataError, match=rf"8 of 48 texts of data .* data.max_bad = 0.1.*line 4\d: {why}"):
        source(b"\n".join(lines), f"rows.{kind}", label_column="kind")


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_rows_without_a_text_are_left_out_and_counted(source, kind):
    made, _ = source(table(kind, [("one", "a"), ("", "a"), ("two", "b"), (" ", "")]), f"rows.{kind}", held_out=0.0)
    assert len(made) == 2
    first = 3 if kind != "jsonl" else 2
    assert [tuple(left) for left in made.left_out] == [
        (2, "rows without text", "an empty text is no sample", f"rows.{kind} line {first}")
    ]


def test_a_cell_over_several_lines_is_one_text_and_is_named_by_its_first_line(source):
    content = b'text,kind\r\n"one ""quoted"", line\r\ntwo",a\r\nplain,b\r\n'
    made, options = source(content, "cells.csv", label_column="kind", held_out=0.0)
    assert texts((made, options))[0]["train"] == ['one "quoted", line\ntwo', "plain"]
    assert [made.name(i) for i in range(2)] == ["cells.csv line 2", "cells.csv line 4"]


def test_a_quotation_mark_at_the_start_of_an_unquoted_field_swallows_no_rows(source):
    rows = [('"' if i % 10 == 3 else "") + t + (' "so"' if i % 10 == 7 else "") for i, t in enumerate(ROWS)]
    made, _ = source(table("tsv", [(t, "a") for t in rows]), "speech.tsv", label_column="kind", held_out=0.0)
    assert [made.corpus.text(i) for i in range(40)] == rows
    assert made.corpus.notes == ("speech.tsv: quotation marks are part of the text",)
    quoted = [(f'"{t}\tand ""more"""', "a") for t in ROWS]
    made, _ = source(table("tsv", quoted), "quoted.tsv", label_column="kind", held_out=0.0)
    assert [made.corpus.text(i) for i in range(40)] == [f'{t}\tand "more"' for t in ROWS]


def test_numbers_are_read_as_they_are_written(source):
    lines = b'{"text": 1.50, "kind": true}\n{"text": 1e5, "kind": 7}\n{"text": ' + b"9" * 5000 + b', "kind": 7}'
    made, _ = source(lines, "n.jsonl", label_column="kind", held_out=0.0, max_bad=0.5)
    assert [made.corpus.text(i) for i in range(3)] == ["1.50", "1e5", "9" * 5000]
    assert made.info["classes"] == ["true", "7"]


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.txt", "a.log", "a"])
def test_json_lines_are_known_by_what_they_hold(source, name):
    rows = table("jsonl", [(t, "a") for t in ROWS])
    made, _ = source(rows, name, label_column="kind", held_out=0.0)
    assert made.corpus.text(0) == ROWS[0]
    assert made.corpus.notes == (f"{name} is read as JSON lines",)
    with pytest.raises(DataError, match="has no column 'words'"):
        source(rows, name, column="words")
    if "json" not in name:
        assert source(rows, name, column="", held_out=0.0)[0].corpus.text(0).startswith('{"text"')


def test_without_a_column_a_table_is_plain_text(source):
    assert source(b"a,b\nc,d", "a.csv", column="", held_out=0.0)[0].corpus.text(0) == "a,b"
    with pytest.raises(DataError, match=r"read as plain text without --data\.column"):
        source(b"a,b\nc,d", "a.csv", column="", label_column="b")


def test_another_mark_between_fields_is_taken_if_it_gives_the_columns(source):
    for mark in (";", "\t", "|"):
        content = "\n".join(f"{t}{mark}{c}" for t, c in [("text", "kind"), ("one, two", "a"), ("three", "b")])
        made, _ = source(content.encode(), "a.csv", label_column="kind", held_out=0.0)
        assert [made.corpus.text(i) for i in range(2)] == ["one, two", "three"]
        assert "between its fields" in made.corpus.notes[0]


def test_columns_that_hold_no_classes_are_refused(source):
    fractions = table("csv", [(t, i / 7) for i, t in enumerate(ROWS)])
    with pytest.raises(DataError, match=r"column 'kind' holds 40 different numbers .* no classes; round the numbers"):
        source(fractions, "a.csv", label_column="kind")
    names = table("jsonl", [(t, f"id{i}") for i, t in enumerate(ROWS)])
    with pytest.raises(DataError, match=r"column 'kind' has 40 classes for 40 rows .*--data.label_column"):
        source(names, "a.jsonl", label_column="kind")
    stars = table("tsv", [(t, i % 10 / 2) for i, t in enumerate(ROWS)])
    assert len(source(stars, "a.tsv", label_column="kind")[0].info["classes"]) == 10


def test_files_that_are_not_read_are_counted(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("one two\nthree")
    (tmp_path / "data/b.pdf").write_text("x")
    (tmp_path / "data/c.pdf").write_text("x")
    os.mkfifo(tmp_path / "data/pipe.txt")
    made = DOMAIN.open(TextSettings(source=str(tmp_path / "data"), held_out=0.0))
    assert [(left.count, left.what) for left in made.left_out] == [
        (2, ".pdf files"),
        (1, "pipes, devices or broken links"),
    ]


def test_no_more_is_read_than_the_user_allows(tmp_path):
    bomb, big, line = tmp_path / "bomb.txt.gz", tmp_path / "big.txt", tmp_path / "line.jsonl"
    bomb.write_bytes(gzip.compress(b"a b\n" * 500_000))
    with big.open("wb") as file:
        file.truncate(3_000_000)  # a file of holes: it has the size before anything is read
    for path, verb in ((bomb, "unpacks to"), (big, "has")):
        with pytest.raises(DataError, match=rf"{path.name} {verb} more than the 1 MB .* raise --data.max_megabytes"):
            DOMAIN.open(TextSettings(source=str(path), max_megabytes=1))
    (tmp_path / "two").mkdir()
    for name in "ab":
        (tmp_path / f"two/{name}.txt").write_bytes(b"a b c d\n" * 75_000)
    with pytest.raises(DataError, match=r"b\.txt has more than the 0 MB that are left of 1 MB"):
        DOMAIN.open(TextSettings(source=str(tmp_path / "two"), max_megabytes=1))
    line.write_bytes(b'{"text": "a b"}\n' * 9 + b'{"text": "' + b"x" * LONGEST + b'"}')
    corpus = read_corpus(line, "text", "")
    assert "more than 1,048,576; split the text" in corpus.odd[9]


def test_line_ends_of_old_macs(source):
    assert len(source(b"one two\rthree four\rfive", held_out=0.0)[0]) == 3
    assert len(source(b"text,kind\rone,a\rtwo,b", "a.csv", held_out=0.0)[0]) == 2
