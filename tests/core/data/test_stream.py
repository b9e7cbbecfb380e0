"""Streams of splits and of classes: pure functions of (seed, i), shared by processes without overlap."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
import sides_gan

import polygan
import toy_gan
from polygan.data import Stream, Streams, build_store, split_store

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
