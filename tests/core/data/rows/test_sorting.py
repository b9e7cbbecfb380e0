"""An epoch sorted within windows: a permutation of like costs, seen by every process alike."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polygan.data import Split, Stream, Streams
from polygan.data.domain import Domain
from polygan.data.stream import sorted_in_windows
from polygan.seeding import mix


class Lengths(Domain):
    """A batch is its rows; a row costs what the list says."""

    def __init__(self, costs):
        self.of = np.asarray(costs, float)

    def costs(self, split):
        return self.of[split.rows]

    def collate(self, split, rows, draws):
        return {"rows": torch.from_numpy(rows), "cost": torch.from_numpy(self.of[rows])}

    def open(self, settings): ...
    def real(self, split, rows): ...
    def write(self, samples, path): ...
    def render(self, samples): ...
    def features(self, samples): ...


def stream(costs, batch, seed=0, rank=0, world=1, rows=None):
    rows = np.arange(len(costs)) if rows is None else rows
    split = Split(SimpleNamespace(fields={}), rows, "train")  # pyright: ignore[reportArgumentType]
    return Stream(split, Lengths(costs), batch, seed, rank, world)


def padding(costs, batch, count, seed=0):
    """The share of frames that are padding in the first ``count`` batches."""
    found = stream(costs, batch, seed)
    batches = [found.batch(i)["cost"] for i in range(count)]
    return 1 - float(sum(b.sum() for b in batches)) / float(sum(len(b) * b.max() for b in batches))


@pytest.mark.parametrize("draw", ["uniform", "short"])
def test_ten_hours_of_clips_are_padded_by_less_than_a_tenth(draw):
    rng = np.random.default_rng(0)
    seconds = rng.uniform(1, 15, 9000) if draw == "uniform" else (1 + rng.gamma(3, 1.5, 9000)).clip(1, 15)
    seconds = seconds[: int(np.searchsorted(np.cumsum(seconds), 36_000))]
    assert sum(seconds) == pytest.approx(36_000, abs=15)
    frames = (seconds * 62.5).astype(int)  # of 256 samples at 16 kHz
    batches = 3 * len(frames) // 16
    assert padding(frames, 16, batches) < 0.1
    assert padding(np.ones(len(frames)), 16, 2) == 0
    shuffled = np.random.default_rng(1).permutation(frames)[: len(frames) // 16 * 16].reshape(-1, 16)
    assert 1 - shuffled.sum() / (16 * shuffled.max(1)).sum() > 0.3  # what is saved


sizes = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@given(sizes, st.integers(0, 2**62), st.integers(0, 20))
@settings(deadline=None, max_examples=60)
def test_every_epoch_shows_every_row_once(size, seed, first):
    n, batch = size
    rows = np.arange(n) * 3 + 100
    some = stream(np.random.default_rng(n).uniform(1, 9, 400), batch, seed, rows=rows)
    begin = -(-first * n // batch)
    shown = np.concatenate([some.rows(i) for i in range(begin, begin + 3 * n // batch + 3)])
    lead = (-begin * batch) % n
    for epoch in (shown[lead : lead + n], shown[lead + n : lead + 2 * n]):
        assert sorted(epoch) == rows.tolist()


@given(sizes, st.integers(0, 2**62), st.lists(st.integers(0, 200), min_size=1, max_size=6))
@settings(deadline=None, max_examples=40)
def test_a_batch_depends_on_seed_and_index_only(size, seed, indices):
    n, batch = size
    costs = np.random.default_rng(n).uniform(1, 9, n)
    travelled = stream(costs, batch, seed)
    for i in indices:
        assert torch.equal(stream(costs, batch, seed).batch(i)["rows"], travelled.batch(i)["rows"])


def test_two_processes_give_the_rows_of_one():
    costs = np.random.default_rng(0).uniform(1, 15, 333)
    for i in (0, 7, 20, 21, 100):
        whole = stream(costs, 16).batch(i)["rows"]
        halves = [stream(costs, 16, 0, rank, 2).batch(i)["rows"] for rank in (0, 1)]
        assert torch.equal(torch.cat(halves), whole)


def test_batches_of_a_window_come_in_shuffled_order_and_differ_by_epoch_and_seed():
    costs = np.arange(24 * 8)
    means = [float(stream(costs, 8).batch(i)["cost"].mean()) for i in range(48)]
    assert sorted(means[:24]) == sorted(means[24:])  # one window: the same batches
    assert means[:24] != sorted(means[:24])
    assert means[:24] != means[24:]
    several = np.arange(24 * 8 * 4)
    batches = [sorted(stream(several, 8, seed).rows(i)) for seed, i in ((0, 0), (0, 96), (1, 0))]
    assert len({tuple(map(int, b)) for b in batches}) == 3


def test_rows_beside_another_epoch_are_of_middling_cost():
    order = sorted_in_windows(np.arange(100), np.arange(100.0), 100, 8, np.random.default_rng(0))
    assert sorted(order) == list(range(100))
    # The epoch begins at row 100 of all: 4 rows end the batch from 96 on, and the batch from 104 on is its own.
    assert all(40 <= row < 56 for row in order[:4])
    assert [float(np.ptp(order[i : i + 8])) for i in range(4, 100, 8)].count(7) >= 11


def test_without_costs_the_order_is_that_of_a_shuffle(monkeypatch):
    costs = np.random.default_rng(0).uniform(1, 15, 50)
    monkeypatch.setattr(Lengths, "costs", Domain.costs)
    shuffled = np.concatenate([stream(costs, 10).rows(i) for i in range(5)])
    monkeypatch.undo()
    costly = np.concatenate([stream(costs, 10).rows(i) for i in range(5)])
    # The order from before there were costs, so that results stay.
    before = np.random.Generator(np.random.Philox(key=mix(0, 1, 0))).permutation(50)
    assert shuffled.tolist() == before.tolist()
    assert sorted(shuffled) == sorted(costly)
    assert shuffled.tolist() != costly.tolist()


def test_a_stream_of_a_class_is_sorted_too():
    labels = np.arange(400) % 2
    store = SimpleNamespace(
        fields={"label": None},
        info={"classes": ["a", "b"]},
        gather=lambda _, rows: torch.from_numpy(labels[rows]),
    )
    costs = np.random.default_rng(0).uniform(1, 15, 400)
    split = Split(store, np.arange(400), "train")  # pyright: ignore[reportArgumentType]
    found = Streams({"train": split}, Lengths(costs), 10, 0)["train/b"]
    spread = [float(np.ptp(costs[found.rows(i)])) for i in range(20)]
    assert max(spread) < 3
    assert {int(row) % 2 for i in range(20) for row in found.rows(i)} == {1}
