"""Two sources joined by name: pairs, prefixes, and what has no partner."""

from __future__ import annotations

import numpy as np
import pytest

import polygan
from polygan.data import build_store
from polygan.data.rows.joined import Joined


class Named(polygan.Source):
    """A number for each name; a negative number cannot be read."""

    def __init__(self, key, **values):
        self.key, self.values = key, values
        self.names = list(values)
        self.fields = {"x": polygan.Field("int64", ())}
        self.info = {"total": sum(values.values())}
        self.left_out = [polygan.LeftOut(1, ".txt file", "no sound")]

    def __len__(self):
        return len(self.names)

    def fingerprint(self):
        return self.key + repr(self.values)

    def name(self, index):
        return f"{self.key}/some folder/{self.names[index].rstrip('_')}.{self.key}"

    def decode(self, index):
        value = self.values[self.names[index]]
        if value < 0:
            raise polygan.DataError("is negative")
        return {"x": np.int64(value)}

    def describe(self):
        return [polygan.Fact("total", str(self.info["total"]))]

    def info_without(self, skipped):
        return {"total": sum(v for i, v in enumerate(self.values.values()) if i not in skipped)}


def joined(**more):
    one = Named("wav", a=1, b=2, c=3, e=5, e_=6)
    two = Named("flac", c=30, b=20, d=40, **more)
    return Joined(one, two, "other")


def test_samples_of_one_name_are_one_sample_with_prefixed_fields():
    source = joined()
    assert len(source) == 2
    assert [source.decode(i) for i in range(2)] == [{"x": 2, "other_x": 20}, {"x": 3, "other_x": 30}]
    assert list(source.fields) == ["x", "other_x"]
    assert source.info == {"total": 17, "other_total": 90}
    assert source.name(0) == "wav/some folder/b.wav"
    assert dict(source.describe())["joined with other"] == "2 by name, of 5 and 3"


def test_what_has_no_partner_is_counted_and_named():
    found = {(left.why, left.count, left.example) for left in joined().left_out if left.what != ".txt file"}
    assert found == {
        ("without a partner for other", 1, "a"),
        ("of other without a partner", 1, "d"),
        ("that several samples have", 1, "e"),
    }
    assert sum(left.what == ".txt file" for left in joined().left_out) == 2


def test_a_key_says_what_belongs_together():
    one, two = Named("wav", a1=1, a2=2), Named("wav", b2=20, b1=10)
    source = Joined(one, two, "other", key=lambda source, index: source.names[index][1])
    assert [source.decode(i) for i in range(2)] == [{"x": 1, "other_x": 10}, {"x": 2, "other_x": 20}]


def test_sources_without_a_common_name_are_refused_with_examples():
    with pytest.raises(polygan.DataError, match=r"no two of 1 sample and 2 samples share a name \(a here, b there\)"):
        Joined(Named("wav", a=1), Named("wav", b=1, c=2), "other")


def test_a_partner_that_cannot_be_read_is_named_and_its_pair_is_left_out(tmp_path, capsys):
    source = joined(a=-1)
    settings = polygan.DataSettings(source="pairs", cache=str(tmp_path), max_bad=0.5)
    store = build_store(source, settings, progress=False)
    assert store.bad == ["wav/some folder/a.wav: its partner flac/some folder/a.flac: is negative"]
    assert [int(store.item("other_x", i)) for i in range(2)] == [20, 30]
    assert store.info["total"] == 16
    assert store.info["other_total"] == 90


def test_a_fingerprint_tells_prefixes_pairs_and_both_sources():
    def of(one, two, prefix="other", key=None):
        return Joined(one, two, prefix, key).fingerprint()

    base = of(Named("wav", a=1, b=2), Named("flac", a=10, b=20))
    assert base == of(Named("wav", a=1, b=2), Named("flac", a=10, b=20))
    others = {
        of(Named("wav", a=1, b=3), Named("flac", a=10, b=20)),
        of(Named("wav", a=1, b=2), Named("flac", a=10, b=21)),
        of(Named("wav", a=1, b=2), Named("flac", a=10, b=20), "mirror"),
        of(Named("wav", a=1, b=2), Named("flac", a=10, b=20), key=lambda s, i: str((i + (s.key == "wav")) % 2)),
    }
    assert len(others | {base}) == 5
