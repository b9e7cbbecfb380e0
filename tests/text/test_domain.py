"""The text domain: files of a user, what is written, shown and compared."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from text_files import DOMAIN

from polygan import ConfigError, DataError, Passage, Samples
from polygan_text import domain


def test_files_have_a_text_a_line_and_its_class(tmp_path):
    samples = Samples(["one\ntwo", "three"], DOMAIN, torch.tensor([1, 0]), ("a", "b"))
    assert DOMAIN.write(samples, tmp_path / "deep/out.txt") == [tmp_path / "deep/out.txt"]
    assert (tmp_path / "deep/out.txt").read_text() == "b\tone two\na\tthree\n"
    assert DOMAIN.write(Samples(["x"], DOMAIN), tmp_path / "folder") == [tmp_path / "folder/samples.txt"]
    with pytest.raises(ConfigError, match=r"out\.png: domain 'text' writes \.txt, \.jsonl, \.csv; use one"):
        DOMAIN.write(samples, tmp_path / "out.png")


TOLD = Samples(['one\ntwo, "three"', "=vier\u2028"], DOMAIN, torch.tensor([1, 0]), ("a", "b;c"))


def test_a_table_has_the_class_beside_each_text(tmp_path):
    assert TOLD.save(tmp_path / "deep/out.csv") == [tmp_path / "deep/out.csv"]
    with (tmp_path / "deep/out.csv").open(newline="", encoding="utf-8") as table:
        assert list(csv.DictReader(table)) == [
            {"text": 'one\ntwo, "three"', "class": "b;c"},
            {"text": "=vier\u2028", "class": "a"},
        ]
    Samples(["x"], DOMAIN).save(tmp_path / "plain.CSV")
    assert (tmp_path / "plain.CSV").read_text() == "text\nx\n"


def test_json_lines_have_the_class_beside_each_text(tmp_path):
    TOLD.save(tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text("utf-8").split("\n")
    assert [json.loads(line) for line in lines if line] == [
        {"text": 'one\ntwo, "three"', "class": "b;c"},
        {"text": "=vier\u2028", "class": "a"},
    ]
    Samples(["lone \ud800"], DOMAIN).save(tmp_path / "odd.jsonl")
    assert json.loads((tmp_path / "odd.jsonl").read_text("utf-8")) == {"text": "lone ?"}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt"])
def test_pieces_make_one_table(tmp_path, suffix):
    DOMAIN.write_file([Samples(["a"], DOMAIN), Samples(["b"], DOMAIN)], tmp_path / f"out{suffix}")
    whole = Samples(["a", "b"], DOMAIN).save(tmp_path / f"whole{suffix}")[0]
    assert (tmp_path / f"out{suffix}").read_text() == whole.read_text()


def test_samples_are_strings_one_by_one():
    tokens = torch.arange(6).view(2, 3)
    made = Samples(["a b", "c"], DOMAIN, torch.tensor([1, 0]), ("x", "y"), extra={"tokens": tokens})
    assert list(made) == ["a b", "c"]
    assert made[1] == "c"
    assert made[::-1].data == ["c", "a b"]
    assert made[1:].extra["tokens"].tolist() == [[3, 4, 5]]
    assert repr(made) == "Samples(2 x text, classes: x, y)"


def test_files_of_a_user_are_read_line_by_line(tmp_path, monkeypatch):
    monkeypatch.setattr(domain, "TEXTS", 2)
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone two\r\n\r\n  \nthree four\n five")
    pieces = list(DOMAIN.read(tmp_path / "a.txt", {}))
    assert [p.data for p in pieces] == [["one two", "three four"], [" five"]]
    assert [list(p.names) for p in pieces] == [["1", "4"], ["5"]]
    given = list(DOMAIN.read_text(["\ufeffone two\r\n", "\n", "three four\n", " five"], {}))
    assert [p.data for p in given] == [p.data for p in pieces]
    assert [list(p.names) for p in given] == [["1", "3"], ["4"]]


def test_a_file_of_a_user_is_read_only_as_far_as_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(domain, "TEXTS", 1)
    (tmp_path / "a.txt").write_bytes(b"good\nalso good\nstra\xdfe\n")
    pieces = DOMAIN.read(tmp_path / "a.txt", {})
    assert [next(pieces).data, next(pieces).data] == [["good"], ["also good"]]
    with pytest.raises(DataError, match=r"a\.txt line 3: is not UTF-8 \(byte 0xdf at 5\)"):
        next(pieces)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text\nhello", r"a\.csv is no plain text; save the beginnings one a line as \.txt"),
        ("a.txt.gz", b"x", "is no plain text"),
        ("a.txt", b"ab\0c", "is a binary file"),
        ("a.txt", b"x" * ((1 << 20) + 9), "line 1: has more than 1,048,576 bytes"),
    ],
)
def test_files_of_a_user_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(DOMAIN.read(tmp_path / name, {}))


def test_standard_input_that_is_no_utf8_is_said():
    for lines in (["fine\n", "stra\udcdfe\n"], io.TextIOWrapper(io.BytesIO(b"stra\xdfe\n"), "utf-8")):
        with pytest.raises(DataError, match=r"the input is not UTF-8 near line \d; convert the input"):
            list(DOMAIN.read_text(lines, {}))


def test_a_line_of_standard_input_has_a_bound():
    with pytest.raises(DataError, match="line 2 of the input has more than 1,048,576 bytes"):
        list(DOMAIN.read_text(["fine\n", "é" * (1 << 19) + "x\n"], {}))


def test_pieces_are_written_as_they_come(tmp_path):
    def pieces():
        yield Samples(["one\ntwo"], DOMAIN, torch.tensor([1]), ("a", "b"))
        raise DataError("the end of it")

    with pytest.raises(DataError, match="the end of it"):
        DOMAIN.write_file(pieces(), tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "b\tone two\n"


def test_a_report_shows_passages():
    samples = Samples(["<b>x</b>", "y"], DOMAIN, torch.tensor([1, 0]), ("a", "b"))
    assert DOMAIN.render(samples) == [Passage("<b>x</b>", "b"), Passage("y", "a")]


def test_features_tell_equal_from_unlike_texts():
    tokens = torch.tensor([[3, 4, 5, 1, 1], [3, 4, 5, 1, 1], [6, 7, 8, 9, 1], [3, 4, 9, 1, 1]])
    f = DOMAIN.features(Samples([""] * 4, DOMAIN, extra={"tokens": tokens}))
    gaps = torch.cdist(f, f)
    assert gaps[0, 1] == 0
    assert gaps[0, 2] == pytest.approx(2**0.5, abs=1e-5)
    assert 0.3 < gaps[0, 3] < 1.3


PAIR_INFO = {"given_length": 4}


def test_only_data_with_sources_has_pairs_and_a_view_of_them():
    given, made, truth = (Samples([text], DOMAIN) for text in ("long <b>", "short", "true"))
    assert DOMAIN.paired(PAIR_INFO)
    assert not DOMAIN.paired({})
    assert DOMAIN.beside(given, made, truth, PAIR_INFO) == [Passage("long <b>\n\nmade: short\n\ntruth: true")]
    assert DOMAIN.beside(given, made, None, PAIR_INFO) == [Passage("long <b>\n\nmade: short")]
    assert DOMAIN.beside(given, made, truth, {}) == []
    given.origins = truth.origins = ["articles.csv line 7"]
    assert [piece.caption for piece in DOMAIN.beside(given, made, truth, PAIR_INFO)] == ["articles.csv line 7"]
    assert [piece.caption for piece in DOMAIN.render(truth)] == ["articles.csv line 7"]


def test_pieces_of_pairs_keep_their_sources():
    def piece(n):
        return Samples(["x"] * n, DOMAIN, extra={"tokens": torch.full((n, 3), n), "given": torch.full((n, 4), n)})

    whole = DOMAIN.join([piece(1), piece(2)])
    assert whole.extra["given"].tolist() == [[1] * 4, [2] * 4, [2] * 4]
    assert DOMAIN.join([piece(1), Samples(["y"], DOMAIN)]).extra == {}
    assert set(DOMAIN.batch_of(whole) or ()) == {"tokens", "given"}
