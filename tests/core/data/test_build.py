"""Stores and streams: exact round trips, bad samples, damage, interruptions, processes that race."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polygan.data import Split, Stream, build_store, cache_folder, decoding, split_store
from polygan.data.domain import Domain
from polygan.data.source import DataSettings, Field, Source
from polygan.data.store import FieldWriter, Store
from polygan.errors import ConfigError, DataError


class Listed(Source):
    """Samples that are given; an exception in the list is raised."""

    def __init__(self, samples, fields, key="key", info=None):
        self.samples, self.fields, self.key, self.info = samples, fields, key, info or {}
        self.decoded = 0

    def __len__(self):
        return len(self.samples)

    def fingerprint(self):
        return self.key

    def decode(self, index):
        self.decoded += 1
        sample = self.samples[index]
        if isinstance(sample, BaseException):
            raise sample
        return sample

    def name(self, index):
        return f"file{index}.png"


BYTES = {"x": Field("uint8", (2,))}


def numbers(n, bad=(), error=None, **options):
    samples = [{"x": np.array([i % 256, i // 256 % 256], np.uint8)} for i in range(n)]
    for i in bad:
        samples[i] = error or ValueError("cannot\nidentify it")
    return Listed(samples, BYTES, **options)


def setting(tmp_path, **options):
    return DataSettings(**{"source": "mine", "cache": str(tmp_path), **options})


def build(tmp_path, source, **options):
    return build_store(source, setting(tmp_path, **options), progress=False)


def leftovers(tmp_path):
    return [p for p in (tmp_path / "stores").iterdir() if p.name.startswith(".")]


# What comes back


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


@pytest.mark.parametrize("bytes_each", [2, 3 << 20])
def test_order_holds_whatever_the_workers_do(tmp_path, bytes_each):
    """Small samples travel in groups, large ones alone."""
    n = 300 if bytes_each == 2 else 12
    samples = [{"x": np.full(bytes_each, i % 256, np.uint8)} for i in range(n)]
    source = Listed(samples, {"x": Field("uint8", (bytes_each,))})
    decode = source.decode

    def late(index):
        time.sleep(0.002 * (index % 3 == 0))
        return decode(index)

    source.decode = late
    store = build_store(source, setting(tmp_path), progress=False, workers=7)
    assert [int(store.item("x", i)[-1]) for i in range(n)] == [i % 256 for i in range(n)]


def test_large_samples_are_not_decoded_far_ahead(tmp_path, monkeypatch):
    """What waits to be written is bounded in bytes, not only in number."""
    monkeypatch.setattr(decoding, "_AHEAD", 1000)
    source = Listed([{"x": np.zeros(500, np.uint8)}] * 400, {"x": Field("uint8", (500,))})
    add, most, written = FieldWriter.add, [0], [0]

    def slow(self, array):
        time.sleep(0.0002)
        written[0] += 1
        most[0] = max(most[0], source.decoded - written[0])
        add(self, array)

    monkeypatch.setattr(FieldWriter, "add", slow)
    build_store(source, setting(tmp_path), progress=False, workers=2)
    assert written[0] == 400
    assert most[0] <= 8 * 2 + 2  # pieces of work at once, times 1000 bytes each


# Where it is kept, and under which key


def test_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "env"))
    assert cache_folder(DataSettings(cache=str(tmp_path / "set"))) == tmp_path / "set"
    assert cache_folder(DataSettings()) == tmp_path / "env"
    monkeypatch.delenv("POLYGAN_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    assert cache_folder(DataSettings()) == tmp_path / "home" / ".cache" / "polygan"
    assert cache_folder(DataSettings(cache="~/x")) == tmp_path / "home" / "x"
    store = build_store(numbers(3), DataSettings(cache=str(tmp_path / "set")), progress=False)
    assert store.path.parent == tmp_path / "set" / "stores"


def test_the_key_follows_fingerprint_and_fields_only(tmp_path):
    first = build(tmp_path, numbers(5))
    assert build(tmp_path, numbers(5), max_bad=1.0, held_out=0.5).path == first.path
    assert build(tmp_path, numbers(5, key="other")).path != first.path
    wide = Listed([{"x": np.zeros(2, np.uint8), "y": np.uint8(1)}] * 5, {**BYTES, "y": Field("uint8", ())})
    assert build(tmp_path, wide).path != first.path
    other = Listed([{"x": np.zeros(2, np.int8)}] * 5, {"x": Field("int8", (2,))})
    assert build(tmp_path, other).path != first.path
    assert len(list((tmp_path / "stores").iterdir())) == 4


# Bad samples


def test_bad_samples_are_named_counted_and_skipped(tmp_path, capsys):
    source = numbers(50, bad=(3, 10, 11, 49))
    store = build(tmp_path, source)
    assert len(store) == store.info["count"] == 46
    assert [b.partition(":")[0] for b in store.bad] == ["file3.png", "file10.png", "file11.png", "file49.png"]
    assert [int(store.item("x", i)[0]) for i in (2, 3, 45)] == [2, 4, 48]
    (line,) = capsys.readouterr().err.splitlines()
    assert "4 of 50 samples of 'mine' were skipped (file3.png: cannot identify it; " in line
    assert "file11.png: cannot identify it; and 1 more)" in line
    build_store(source, setting(tmp_path))  # said again where the store is found, with the remedy
    (line,) = capsys.readouterr().err.splitlines()
    assert "4 of 50 samples" in line
    assert line.endswith(f"remove {store.path} to read them again")


def test_a_share_too_large_is_an_error_also_for_a_store_that_is_there(tmp_path):
    source = numbers(10, bad=(1, 2))
    with pytest.raises(
        DataError, match=r"2 of 10 samples of 'mine' cannot be read, more than data.max_bad = 0.1 allows"
    ):
        build(tmp_path, source)
    assert list((tmp_path / "stores").iterdir()) == []
    assert len(build(tmp_path, source, max_bad=0.2)) == 8
    with pytest.raises(DataError, match=r"raise --data.max_bad"):
        build(tmp_path, source)


def test_a_hopeless_source_ends_early(tmp_path):
    source = numbers(200_000, bad=range(200_000))
    with pytest.raises(DataError, match="of 200000 samples of 'mine' cannot be read"):
        build(tmp_path, source)
    assert source.decoded < 100_000


def test_nothing_readable_or_nothing_there(tmp_path):
    with pytest.raises(
        DataError, match=r"none of the 3 samples of 'mine' can be read \(file0.png: cannot identify it;"
    ):
        build(tmp_path, numbers(3, bad=range(3)), max_bad=1.0)
    with pytest.raises(DataError, match="'mine' is empty"):
        build(tmp_path, numbers(0))


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ({"x": np.zeros(2, np.float32)}, r"x is float32 \(2,\) instead of uint8 \(2,\)"),
        ({"x": np.zeros((2, 1), np.uint8)}, r"x is uint8 \(2, 1\) instead of uint8 \(2,\)"),
        ({"x": np.zeros(3, np.uint8)}, r"x is uint8 \(3,\)"),
        ({"y": np.zeros(2, np.uint8)}, "has no 'x'"),
        (None, "TypeError: "),
        (OSError("truncated file"), "truncated file"),
        (AttributeError("no such thing"), "AttributeError: no such thing"),
        (DataError(""), "unreadable"),
    ],
)
def test_what_is_wrong_with_a_sample_is_said(tmp_path, sample, words):
    source = numbers(20)
    source.samples[7] = sample
    store = build(tmp_path, source)
    assert len(store) == 19
    (line,) = store.bad
    with pytest.raises(DataError, match=f"file7.png: {words}"):
        raise DataError(line)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(tmp_path, value):
    fields = {"x": Field("float32", (None, 2))}
    samples = [{"x": np.zeros((3, 2), np.float32)} for _ in range(20)]
    samples[4]["x"][2, 1] = value
    assert build(tmp_path, Listed(samples, fields)).bad == ["file4.png: x holds numbers that are not finite"]


def test_a_ragged_field_needs_its_first_dimension(tmp_path):
    source = Listed([{"x": np.zeros(1, np.int16)}] * 19 + [{"x": np.int16(1)}], {"x": Field("int16", (None,))})
    assert build(tmp_path, source).bad == ["file19.png: x is int16 () instead of int16 (None,)"]


def test_running_out_of_memory_is_not_the_samples_fault(tmp_path):
    with pytest.raises(DataError, match=r"memory ran out while file4.png was decoded"):
        build(tmp_path, numbers(50, bad=(4,), error=MemoryError()), max_bad=1.0)
    assert list((tmp_path / "stores").iterdir()) == []


# Damage, full disks, interruptions


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


def test_no_space(tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"\(No space left on device\): free some space or name another folder"):
        build(tmp_path, numbers(10))
    assert list((tmp_path / "stores").iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be kept in .*name a folder that can be written with --data.cache"):
        build(tmp_path / "file", numbers(10))


def test_ctrl_c_leaves_nothing_and_does_not_wait_for_the_rest(tmp_path, monkeypatch):
    source = numbers(5000)
    decode, add, seen = source.decode, FieldWriter.add, []

    def slow(index):
        if index > 1900:  # the writer waits for the workers, as it does for real files
            time.sleep(0.002)
        return decode(index)

    def interrupted(self, array):
        if self.rows == 2000:
            seen.append(source.decoded)
            raise KeyboardInterrupt
        add(self, array)

    source.decode = slow
    monkeypatch.setattr(FieldWriter, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_store(source, setting(tmp_path), progress=False, workers=2)
    assert list((tmp_path / "stores").iterdir()) == []
    decoded = source.decoded
    assert decoded <= seen[0] + 8  # not the rest of the 64 that each worker took
    time.sleep(0.05)
    assert source.decoded == decoded


def test_an_interrupt_in_a_worker_ends_the_build(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, numbers(500, bad=(40,), error=KeyboardInterrupt()))
    assert list((tmp_path / "stores").iterdir()) == []


def test_leftovers_of_dead_builds_are_swept_and_living_ones_are_not(tmp_path):
    stores = tmp_path / "stores"
    for name in ("dead", "alive", "writing"):
        folder = stores / f".building-{name}"
        folder.mkdir(parents=True)
        (folder / "x.npy").write_bytes(b"half")
        if name != "alive":
            os.utime(folder, (1, 1))
        if name == "dead":
            os.utime(folder / "x.npy", (1, 1))
    build(tmp_path, numbers(3))
    assert sorted(p.name for p in leftovers(tmp_path)) == [".building-alive", ".building-writing"]


WORKER = """
import sys, time
from pathlib import Path

import numpy as np

from polygan.data import build_store
from polygan.data.source import DataSettings, Field, Source

cache, name = Path(sys.argv[1]), sys.argv[2]


class Slow(Source):
    fields = {"x": Field("int32", (3,))}
    info = {}

    def __len__(self):
        return 400

    def fingerprint(self):
        return "slow"

    def decode(self, index):
        if index == 0:
            (cache / f"{name}.started").touch()
            deadline = time.monotonic() + 60
            while len(list(cache.glob("*.started"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.005)
        return {"x": np.full(3, index, np.int32)}


mode = sys.argv[3]
if mode == "limit":
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    (cache / "other.started").touch()
store = build_store(Slow(), DataSettings(cache=str(cache)), progress=False)
assert [int(v) for v in store.gather("x", np.arange(400))[:, 0]] == list(range(400))
print(store.path)
"""


def start(tmp_path, name, mode="race"):
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    command = [sys.executable, str(script), str(tmp_path), name, mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_build_one_store_at_once(tmp_path):
    processes = [start(tmp_path, name) for name in ("a", "b")]
    told = [p.communicate(timeout=120) for p in processes]
    assert [p.returncode for p in processes] == [0, 0], told
    assert told[0][0] == told[1][0]
    assert len(list(tmp_path.glob("*.started"))) == 2  # both did decode
    assert [str(p) for p in (tmp_path / "stores").iterdir()] == [told[0][0].strip()]


@pytest.mark.skipif(os.name == "nt", reason="limits of file size are POSIX")
def test_files_that_cannot_grow(tmp_path):
    process = start(tmp_path, "a", "limit")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "(File too large): free some space or name another folder with --data.cache" in told.splitlines()[-1]
    assert list((tmp_path / "stores").iterdir()) == []


def test_threads_of_one_process_may_build_the_same_store(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: build(tmp_path, numbers(500)), range(4)))
    assert len({s.path for s in stores}) == 1
    assert leftovers(tmp_path) == []


# What is shown meanwhile


@pytest.mark.parametrize(
    ("terminal", "progress", "bar"), [(True, None, True), (False, None, False), (True, False, False)]
)
def test_a_bar_on_a_terminal_only(tmp_path, monkeypatch, capsys, terminal, progress, bar):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    build_store(numbers(300), setting(tmp_path), progress=progress)
    text = capsys.readouterr().err
    assert ("\r" in text and "300" in text) == bar
    if progress is False:
        assert text == ""
    elif not terminal:
        assert text == "polygan: decoding 300 samples of 'mine'\n"


# Splits and streams


def fake_split(n):
    """Rows that are not 0..n-1, so that positions and rows cannot be mixed up."""
    return Split(SimpleNamespace(fields={}), np.arange(n) * 3 + 100, "train")  # pyright: ignore[reportArgumentType]


class Bare(Domain):
    """Batches are the rows and draws themselves."""

    def collate(self, split, rows, draws):
        return {"rows": torch.from_numpy(rows), "draws": torch.from_numpy(draws)}

    def open(self, settings): ...
    def real(self, split, rows): ...
    def write(self, samples, path): ...
    def render(self, samples): ...
    def features(self, samples): ...


def stream(n, batch, seed=0, rank=0, world=1):
    return Stream(fake_split(n), Bare(), batch, seed, rank, world)


sizes = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@given(sizes, st.integers(-(2**62), 2**62), st.integers(0, 50))
@settings(deadline=None)
def test_every_epoch_shows_every_row_once(size, seed, first):
    n, batch = size
    some = stream(n, batch, seed)
    begin = -(-first * n // batch)  # the batch that starts in or after epoch `first`
    shown = np.concatenate([some.rows(i) for i in range(begin, begin + 3 * n // batch + 3)])
    lead = (-begin * batch) % n
    for epoch in (shown[lead : lead + n], shown[lead + n : lead + 2 * n]):
        assert sorted(epoch) == (np.arange(n) * 3 + 100).tolist()


@given(sizes, st.integers(0, 2**62), st.lists(st.integers(0, 200), min_size=1, max_size=8))
@settings(deadline=None)
def test_a_batch_depends_on_seed_and_index_only(size, seed, indices):
    travelled = stream(*size, seed)
    for i in indices:
        fresh, again = stream(*size, seed).batch(i), travelled.batch(i)
        assert torch.equal(fresh["rows"], again["rows"])
        assert torch.equal(fresh["draws"], again["draws"])
        again["rows"].zero_()  # what a domain does with its rows stays its own affair


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 30), st.integers(0, 2**62))
@settings(deadline=None)
def test_shares_of_all_processes_are_the_batch_of_one(world, share, i, seed):
    n, batch = 2 * world * share + 1, world * share
    whole = stream(n, batch, seed).batch(i)
    parts = [stream(n, batch, seed, rank, world).batch(i) for rank in range(world)]
    for name in ("rows", "draws"):
        assert torch.equal(torch.cat([p[name] for p in parts]), whole[name])
        assert all(len(p[name]) == share for p in parts)


def test_draws_are_uniform_and_differ_by_batch_and_seed():
    draws = torch.cat([stream(100, 50).batch(i)["draws"] for i in range(40)])
    assert draws.shape == (2000, 4)
    assert draws.dtype == torch.float64
    assert 0 <= float(draws.min()) < float(draws.max()) < 1
    assert float((draws.mean(0) - 0.5).abs().max()) < 0.03
    assert len(draws.unique()) == draws.numel()
    assert not torch.equal(stream(100, 50, 1).batch(0)["draws"], stream(100, 50, 2).batch(0)["draws"])


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [stream(50, 50, seed).rows(i).tolist() for seed in (0, 1) for i in (0, 1)]
    assert all(a != b for a, b in pairwise(orders))
    assert orders[0] != orders[3]


def test_a_real_store_feeds_batches(tmp_path):
    store = build(tmp_path, numbers(64))
    some = Stream(split_store(store, 0.25)["train"], Bare(), 16, 0)
    batch = Domain.collate(Bare(), some.split, some.rows(0), np.zeros((16, 4)))
    assert batch["x"].dtype == torch.uint8
    assert batch["x"][:, 0].tolist() == some.rows(0).tolist()


def test_batches_that_cannot_be():
    with pytest.raises(DataError, match=r"batch_size = 11 is larger than the data: 10 train samples"):
        stream(10, 11)
    with pytest.raises(ConfigError, match=r"batch_size = 9 cannot be shared by 2 processes; use a multiple of 2"):
        stream(10, 9, world=2)


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
