"""Streams of splits and of classes: pure functions of (seed, i), shared by processes without overlap."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from listed_source import build, numbers

from polygan.data import Split, Stream, build_store, split_store
from polygan.data.domain import Domain
from polygan.errors import ConfigError, DataError

sys.path.insert(0, str(Path(__file__).parents[2]))
import sides_gan

import polygan
import toy_gan
from polygan.data import Streams

DOMAIN = toy_gan.Points()


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    settings = polygan.DataSettings(source="sides", cache=str(tmp_path_factory.mktemp("cache")))
    return split_store(build_store(sides_gan.SidesSource(), settings, progress=False), 0.2)


def streams(splits, batch=8, seed=0, rank=0, world=1):
    return Streams(splits, DOMAIN, batch, seed, rank, world)


def rows(stream, count):
    return np.concatenate([stream.rows(i) for i in range(count)])


def test_there_is_a_stream_for_each_split_and_each_class(splits):
    found = streams(splits)
    assert list(found) == [
        "train",
        "held_out",
        "train/inner",
        "train/outer",
        *(f"held_out/{c}" for c in ("inner", "outer") if f"held_out/{c}" in found),
    ]
    assert len(found) == len(list(found))
    for name in ("train/ring", "test/inner", "inner", "train/"):
        assert name not in found
        with pytest.raises(KeyError):
            found[name]
    assert "held_out" not in streams(splits, batch=11)  # 10 held-out samples


def test_a_class_stream_holds_that_class_alone_and_all_of_it(splits):
    labels = splits["train"].store.gather("label", splits["train"].rows).numpy()
    for index, name in enumerate(("inner", "outer")):
        own = set(splits["train"].rows[labels == index])
        stream = streams(splits)[f"train/{name}"]
        assert set(rows(stream, -(-len(own) // 8))) == own
        assert bool((stream.batch(3)["label"] == index).all())


def test_a_side_may_be_smaller_than_a_batch(splits):
    stream = streams(splits, batch=32)["train/outer"]
    assert len(stream.split) < 32
    counts = np.unique(rows(stream, 5), return_counts=True)[1]
    assert len(counts) == len(stream.split)  # every sample of the side
    assert counts.max() - counts.min() <= 1  # as often as the others
    with pytest.raises(polygan.DataError, match="batch_size = 64 is larger than the data"):
        streams(splits, batch=64)["train"]


def test_sides_of_equal_size_are_shuffled_apart(splits):
    """Otherwise the same two samples of both sides would meet in every epoch."""
    found = streams(splits)
    inner, outer = found["train/inner"], found["train/outer"]
    n = min(len(inner.split), len(outer.split))
    places = []
    for stream in (inner, outer):
        first = Stream(polygan.Split(stream.split.store, np.arange(n), "equal"), DOMAIN, n, stream.seed, repeats=True)
        places.append([first.rows(i).tolist() for i in range(4)])
    assert all(a != b for a, b in zip(*places, strict=True))
    assert not np.array_equal(inner.batch(0)["point"], streams(splits, seed=1)["train/inner"].batch(0)["point"])


@pytest.mark.parametrize("name", ["train", "train/inner", "train/outer"])
def test_shares_of_processes_are_the_whole_batch(splits, name):
    whole = streams(splits)[name].batch(7)
    halves = [streams(splits, rank=r, world=2)[name].batch(7) for r in (0, 1)]
    for key, value in whole.items():
        assert torch.equal(value, torch.cat([h[key] for h in halves]))


def test_a_domain_says_how_many_draws_a_sample_has(splits):
    seen = []

    class Greedy(toy_gan.Points):
        draws = 7

        def collate(self, split, rows, draws):
            seen.append(draws)
            return super().collate(split, rows, draws)

    class Usual(Greedy):
        draws = 4

    for domain in (Greedy(), Usual()):
        Streams(splits, domain, 8, 0)["train"].batch(2)
    assert [d.shape for d in seen] == [(8, 7), (8, 4)]
    assert all((d >= 0).all() and (d < 1).all() for d in seen)


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
