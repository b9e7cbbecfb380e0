"""Stores give back every array exactly, refuse damaged files, stay on disk, and split their rows the same way everywhere."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from listed_source import BYTES, Listed, build, numbers

from polygan.data import split_store
from polygan.data import store as store_module
from polygan.data.source import Field
from polygan.data.store import Store
from polygan.errors import DataError


def test_fixed_and_ragged_fields_come_back_exactly(tmp_path):
    rng = np.random.default_rng(0)
    fields = {
        "image": Field("uint8", (3, 4, 5)),
        "wave": Field("int16", (None,)),
        "mel": Field("float32", (None, 7)),
        "label": Field("int64", ()),
        "half": Field("float16", (2,)),
        "flag": Field("bool", (2,)),
    }
    samples = [
        {
            "image": rng.integers(0, 256, (3, 4, 5), np.uint8),
            "wave": rng.integers(-(2**15), 2**15, rng.integers(0, 9), np.int16),
            "mel": np.asfortranarray(rng.standard_normal((rng.integers(0, 4), 7), np.float32)),
            "label": np.int64(rng.integers(-(2**60), 2**60)),
            "half": rng.standard_normal(2).astype(np.float16),
            "flag": rng.random(2) > 0.5,
        }
        for _ in range(150)
    ]
    samples[0]["wave"] = np.zeros(0, np.int16)
    build(tmp_path, Listed(samples, fields, info={"rate": 8000, "shape": (3, 4), "derived": "once"}))
    again = Listed([RuntimeError("decoded twice")] * 150, fields, info={"rate": 8000, "shape": (3, 4)})
    store = build(tmp_path, again)
    assert again.decoded == 0
    assert len(store) == 150
    assert store.info == {
        "rate": 8000,
        "shape": [3, 4],
        "count": 150,
    }  # the facts of this source, not of the decoded one
    assert store.fields == fields
    assert [len(store.item("wave", i)) for i in range(150)] == [len(s["wave"]) for s in samples]
    for i, sample in enumerate(samples):
        for name, field in fields.items():
            value = store.item(name, i)
            assert value.dtype == field.dtype
            np.testing.assert_array_equal(value, sample[name])
    rows = np.array([149, 0, 7, 7])
    for name in ("image", "label", "half", "flag"):
        batch = store.gather(name, rows)
        assert batch.dtype == getattr(torch, fields[name].dtype)
        np.testing.assert_array_equal(batch.numpy(), np.stack([samples[i][name] for i in rows]))
    store.gather("image", rows).zero_()  # memory of its own
    np.testing.assert_array_equal(store.item("image", 0), samples[0]["image"])
    with pytest.raises(ValueError, match="'wave' is of variable length"):
        store.gather("wave", rows)


def test_ragged_field_without_any_element(tmp_path):
    store = build(tmp_path, Listed([{"x": np.zeros(0, np.int32)}] * 3, {"x": Field("int32", (None,))}))
    assert [store.item("x", i).shape for i in range(3)] == [(0,)] * 3


def cut(path):
    os.truncate(path, path.stat().st_size - 1)


def rewrite(path, change):
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


DAMAGE = {
    "cut array": lambda p: cut(p / "x.npy"),
    "empty array": lambda p: (p / "x.npy").write_bytes(b""),
    "no array": lambda p: (p / "x.npy").unlink(),
    "array of another kind": lambda p: np.save(p / "x.npy", np.zeros((40, 2), np.int8)),
    "fewer rows": lambda p: np.save(p / "x.npy", np.zeros((39, 2), np.uint8)),
    "cut elements": lambda p: np.save(p / "r.npy", np.zeros(779, np.int32)),
    "no offsets": lambda p: (p / "r.offsets.npy").unlink(),
    "empty offsets": lambda p: np.save(p / "r.offsets.npy", np.zeros(0, np.int64)),
    "offsets that fall": lambda p: np.save(p / "r.offsets.npy", np.array([0, 800] + [780] * 39)),
    "cut JSON": lambda p: cut(p / "store.json"),
    "another JSON": lambda p: (p / "store.json").write_text("[]"),
    "no JSON": lambda p: (p / "store.json").unlink(),
    "another format": lambda p: rewrite(p / "store.json", lambda f: f.update(format=99)),
    "missing fact": lambda p: rewrite(p / "store.json", lambda f: f.pop("count")),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_store_is_refused_and_decoded_again(tmp_path, capsys, kind):
    samples = [{"x": np.full(2, i, np.uint8), "r": np.full(i, i, np.int32)} for i in range(40)]
    source = Listed(samples, {**BYTES, "r": Field("int32", (None,))})
    path = build(tmp_path, source).path
    DAMAGE[kind](path)
    with pytest.raises(DataError, match=r"is damaged \(.*\); remove the folder"):
        Store.open(path)
    store = build(tmp_path, source)
    assert source.decoded == 80
    assert store.item("r", 39).tolist() == [39] * 39
    (line,) = capsys.readouterr().err.splitlines()
    assert "is damaged" in line
    assert line.endswith("decoding again")


def flip(path, at=-1):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


FLIPPED = {"x.npy": -1, "r.npy": -1, "r.offsets.npy": 137, "store.json": -4}


@pytest.mark.parametrize("name", FLIPPED)
def test_one_flipped_bit_is_noticed_and_decoded_again(tmp_path, capsys, name):
    samples = [{"x": np.full(2, i, np.uint8), "r": np.full(i, i, np.int32)} for i in range(40)]
    source = Listed(samples, {**BYTES, "r": Field("int32", (None,))})
    store = build(tmp_path, source)
    content = store.content
    flip(store.path / name, FLIPPED[name])
    again = build(tmp_path, source)
    assert (source.decoded, again.content) == (80, content)
    assert "is damaged" in capsys.readouterr().err


def test_a_store_without_checksums_opens_and_gets_them(tmp_path):
    source = numbers(30, bad=(4,))
    path = build(tmp_path, source).path
    content = Store.open(path).content
    rewrite(path / "store.json", lambda f: [f.pop(name) for name in ("sums", "check", "bad_rows", "source")])
    store = build(tmp_path, source)
    assert (source.decoded, store.content, store.bad_rows) == (30, content, [])
    flip(path / "x.npy")
    build(tmp_path, source)
    assert source.decoded == 60


def test_the_content_of_equal_samples_is_equal_whatever_their_key(tmp_path):
    stores = [build(tmp_path, numbers(30, key=key)) for key in "ab"]
    assert stores[0].path != stores[1].path
    assert stores[0].content == stores[1].content != build(tmp_path, numbers(31)).content


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOMEM, "Cannot allocate memory"), PermissionError(13, "denied"), MemoryError()]
)
@pytest.mark.parametrize("where", ["load", "sums"])
def test_a_good_store_outlives_an_error_that_passes(tmp_path, monkeypatch, error, where):
    source = numbers(20)
    path = build(tmp_path, source).path

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(*((np, "load") if where == "load" else (store_module, "sums_of")), fail)
        with pytest.raises(DataError, match=r"(cannot be read now|memory ran out).*was left as it is"):
            build(tmp_path, source)
    assert len(build(tmp_path, source)) == 20
    assert (source.decoded, path.exists()) == (20, True)


class Counted:
    fields = BYTES

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n


@given(st.integers(1, 300), st.floats(0, 0.9))
@settings(deadline=None)
def test_a_split_is_fixed_disjoint_and_complete(n, held_out):
    splits = split_store(Counted(n), held_out)  # pyright: ignore[reportArgumentType]
    again = split_store(Counted(n), held_out)  # pyright: ignore[reportArgumentType]
    train, kept = splits["train"].rows, splits["held_out"].rows
    assert np.array_equal(train, again["train"].rows)
    assert sorted([*train, *kept]) == list(range(n))
    assert len(train) >= 1
    assert abs(len(kept) - n * held_out) <= 1
    assert [len(s) for s in splits.values()] == [len(train), len(kept)]


def test_a_split_is_mixed_and_the_same_on_every_machine():
    kept = split_store(Counted(1000), 0.1)["held_out"].rows  # pyright: ignore[reportArgumentType]
    assert kept[:8].tolist() == [355, 999, 389, 599, 176, 5, 425, 147]
    assert np.histogram(kept, 4, (0, 1000))[0].min() > 10


def test_a_split_of_the_source_s_own_is_kept(tmp_path):
    fields = {"x": Field("int64", ()), "held_out": Field("uint8", ())}
    samples = [{"x": np.array(i), "held_out": np.array(i % 5 == 0, np.uint8)} for i in range(50)]
    splits = split_store(build(tmp_path, Listed(samples, fields)), 0.5)
    assert sorted(splits["held_out"].rows) == list(range(0, 50, 5))
    assert sorted(splits["train"].rows) == [i for i in range(50) if i % 5]
    assert list(splits["train"].rows) != sorted(splits["train"].rows)  # the first ones are a sample of all
    every = [{"x": np.array(0), "held_out": np.array(1, np.uint8)}] * 3
    with pytest.raises(DataError, match="every sample is held out"):
        split_store(build(tmp_path, Listed(every, fields, key="other")), 0.5)


def test_reading_does_not_hold_the_store_in_memory(tmp_path):
    """Pages come from the file: they are not the process's own memory."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("needs /proc")

    def own():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("RssAnon"))

    source = Listed([{"x": np.zeros(1 << 20, np.uint8)}] * 48, {"x": Field("uint8", (1 << 20,))})
    path = build(tmp_path, source).path
    before = own()
    store = Store.open(path)
    for i in range(48):
        assert not store.gather("x", np.array([i])).any()
    assert own() - before < 12 << 10  # kB; the store is 48 MB
