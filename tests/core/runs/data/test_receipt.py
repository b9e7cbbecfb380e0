"""A receipt says what a source found and left out before anything is decoded, in lines, in few lines, and as data."""

from __future__ import annotations

import json

import numpy as np
import pytest

import polygan
from polygan.data.source import DataSettings
from polygan.runs.data.receipt import Excerpt, receipt_of, write_sheet


class Told(polygan.Source):
    """Rows that tell of themselves; decoding is counted."""

    fields = {"x": polygan.Field("int64", ())}
    left_out = (
        polygan.LeftOut(12, ".svg files", "vector graphics are not read", "a/b\x1b[31m.svg"),
        polygan.LeftOut(1, "folder", "no permission"),
    )

    def __init__(self, n=100, bad=()):
        self.n, self.bad, self.info, self.decoded = n, bad, {}, []

    def __len__(self):
        return self.n

    def fingerprint(self):
        return "told"

    def describe(self):
        return [polygan.Fact("size", "64x64"), polygan.Fact("classes", "cat 60, dog 40")]

    def decode(self, index):
        self.decoded.append(index)
        if index in self.bad:
            raise ValueError("broken")
        return {"x": np.int64(index)}


def test_everything_is_said_and_nothing_is_decoded():
    source = Told()
    receipt = receipt_of(source, DataSettings(source="pics", held_out=0.2), "points")
    assert receipt.lines() == [
        "data: pics",
        "domain: points",
        "samples: 100 (80 for training, 20 held out)",
        "size: 64x64",
        "classes: cat 60, dog 40",
        "left out: 12 .svg files (vector graphics are not read, e.g. a/b\\x1b[31m.svg)",
        "left out: 1 folder (no permission)",
    ]
    assert receipt.brief() == [
        "polygan: data 'pics': samples 100 (80 for training, 20 held out)",
        "polygan: size 64x64; classes cat 60, dog 40",
        "polygan: left out: 12 .svg files (vector graphics are not read, e.g. a/b\\x1b[31m.svg); 1 folder (no permission)",
    ]
    plain = json.loads(json.dumps(receipt.plain()))
    assert (plain["samples"], plain["train"], plain["held_out"]) == (100, 80, 20)
    assert plain["facts"][0] == {"name": "size", "text": "64x64"}
    assert plain["left_out"][1] == {"count": 1, "what": "folder", "why": "no permission", "example": ""}
    assert source.decoded == []


def test_a_split_of_the_source_s_own_is_not_counted_before_decoding():
    source = Told()
    source.fields = {**Told.fields, "held_out": polygan.Field("uint8", ())}
    receipt = receipt_of(source, DataSettings(source="pics"), "points")
    assert receipt.lines()[2] == "samples: 100 (the data brings its own held-out part)"


def test_facts_that_cannot_be_found_do_not_stop_a_run(monkeypatch):
    monkeypatch.setattr(Told, "describe", lambda self: 1 / 0)
    (fact,) = receipt_of(Told(), DataSettings(source="pics"), "points").facts
    assert fact.text == "cannot be found (ZeroDivisionError: division by zero)"


def test_many_facts_are_cut_to_few_lines():
    source = Told()
    source.left_out = [polygan.LeftOut(i, f"files of kind {i}", "not read") for i in range(1, 200)]
    lines = receipt_of(source, DataSettings(source="p" * 1000), "points").brief()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 301


class Shown(polygan.Domain):
    id = "shown"
    writes = (".txt",)

    def open(self, settings):
        raise NotImplementedError

    def real(self, split, rows):
        return polygan.Samples(split.store.gather("x", rows), self)

    def write(self, samples, path):
        path.write_text(" ".join(map(str, samples.data.tolist())))
        return [path]

    def render(self, samples):
        return []

    def features(self, samples):
        return samples.data


@pytest.mark.parametrize(
    ("n", "bad", "count", "shown"),
    [(100, (), 3, "0 50 99"), (4, (1,), 64, "0 2 3"), (1, (), 5, "0"), (1000, (), 1, "0")],
)
def test_a_sheet_decodes_some_samples_and_keeps_nothing(tmp_path, n, bad, count, shown):
    source = Told(n, bad)
    settings = DataSettings(source="pics", cache=str(tmp_path / "cache"))
    assert write_sheet(source, settings, Shown(), tmp_path / "sheet.txt", count) == [tmp_path / "sheet.txt"]
    assert (tmp_path / "sheet.txt").read_text() == shown
    assert len(source.decoded) == min(n, count)
    assert not (tmp_path / "cache").exists()


def test_an_excerpt_names_its_samples_as_the_source_does():
    excerpt = Excerpt(Told(), [3, 50])
    assert (len(excerpt), excerpt.name(1)) == (2, "sample 50")
    assert excerpt.fingerprint() != Excerpt(Told(), [3, 51]).fingerprint()
