"""Streams: the batches of a turn, by index, and the order of an epoch whose batches have like cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, DataError
from ..messages import plural
from ..seeding import mix
from .store import Split

if TYPE_CHECKING:
    from numpy.random import Generator

    from .domain import Domain
    from .source import Batch


class Stream:
    """Batches by index: batch i is a pure function of (seed, i).

    An endless sequence of epochs permutes the split anew each time. Global batch i holds its rows i*B .. (i+1)*B - 1, and each
    process gets a contiguous share. Where the domain has costs (`Domain.costs`), rows of like cost share a batch. With
    ``repeats`` a batch may hold a sample several times. Raises DataError for an empty split, and for a batch larger than the
    split without ``repeats``.
    """

    def __init__(
        self,
        split: Split,
        domain: Domain,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        *,
        repeats: bool = False,
    ) -> None:
        if not len(split) or (batch_size > len(split) and not repeats):
            have = plural(len(split), f"{split.name} sample")
            raise DataError(
                f"batch_size = {batch_size} is larger than the data: {have}; use a smaller --batch_size, or more data"
            )
        if batch_size % world:
            raise ConfigError(
                f"batch_size = {batch_size} cannot be shared by {world} processes; use a multiple of {world}"
            )
        self.split, self.domain, self.batch_size, self.seed = split, domain, batch_size, seed
        self.rank, self.world = rank, world
        self._costs = domain.costs(split)
        self._orders: dict[int, np.ndarray] = {}

    def _order(self, epoch: int) -> np.ndarray:
        order = self._orders.get(epoch)
        if order is None:
            rng = np.random.Generator(np.random.Philox(key=mix(self.seed, 1, epoch)))
            places = rng.permutation(len(self.split))
            if self._costs is not None:
                begin = epoch * len(self.split)
                places = sorted_in_windows(places, self._costs[places], begin, self.batch_size, rng)
            order = self.split.rows[places]
            if len(self._orders) > 1:  # a batch touches two epochs at most
                self._orders.clear()
            self._orders[epoch] = order
        return order

    def rows(self, i: int) -> np.ndarray:
        """The store rows (batch_size,) of global batch i."""
        begin, end, size = i * self.batch_size, (i + 1) * self.batch_size, len(self.split)
        pieces = []
        for epoch in range(begin // size, (end - 1) // size + 1):
            pieces.append(self._order(epoch)[max(begin - epoch * size, 0) : end - epoch * size])
        return np.concatenate(pieces)

    def batch(self, i: int) -> Batch:
        """This process's share of global batch i, collated by the domain, on the CPU."""
        share = self.batch_size // self.world
        mine = slice(self.rank * share, (self.rank + 1) * share)
        rng = np.random.Generator(np.random.Philox(key=mix(self.seed, 2, i)))
        draws = rng.random((self.batch_size, self.domain.draws))
        return self.domain.collate(self.split, self.rows(i)[mine], draws[mine])


class Streams(Mapping[str, Stream]):
    """The streams of a run by name. Each stream is made on first use.

    ``train`` and ``held_out`` give batches of a split. A held-out split with fewer samples than a batch has no stream; a small
    training split raises DataError on first use. Labelled data (a field ``label``, and names in ``info["classes"]``) also has a
    stream for each class: ``train/horse``, ``held_out/zebra``. Classes may differ in size, and each class has its own order.
    """

    def __init__(
        self, splits: Mapping[str, Split], domain: Domain, batch_size: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self._splits, self._domain = splits, domain
        self._how = (batch_size, seed, rank, world)
        self._made: dict[str, Stream] = {}
        self._labels: dict[str, np.ndarray] = {}
        self._names = [n for n, split in splits.items() if n == "train" or len(split) >= batch_size]
        store = splits["train"].store
        self._classes = list(store.info.get("classes", ())) if "label" in store.fields else []

    def __getitem__(self, name: str) -> Stream:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        split, _, kind = str(name).partition("/")
        return name in self._names or (kind in self._classes and len(self._rows(split, kind)) > 0)

    def __iter__(self) -> Iterator[str]:
        yield from self._names
        yield from (f"{s}/{c}" for s in self._splits for c in self._classes if len(self._rows(s, c)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _make(self, name: str) -> Stream:
        if name not in self:
            raise KeyError(name)
        batch, seed, rank, world = self._how
        if name in self._names:
            return Stream(self._splits[name], self._domain, batch, seed, rank, world)
        split, _, kind = name.partition("/")
        rows = Split(self._splits[split].store, self._rows(split, kind), name)
        # With one seed, classes of equal size would be shuffled alike, and the same two samples would always meet.
        own = mix(seed, 3, self._classes.index(kind))
        return Stream(rows, self._domain, batch, own, rank, world, repeats=True)

    def _rows(self, split: str, kind: str) -> np.ndarray:
        """The store rows of one class of a split."""
        if split not in self._splits:
            return np.empty(0, np.int64)
        found = self._splits[split]
        if split not in self._labels:
            self._labels[split] = found.store.gather("label", found.rows).numpy()
        return found.rows[self._labels[split] == self._classes.index(kind)]


WINDOW = 24
"""Batches that are sorted together, about: an epoch is cut into windows of like size."""


def sorted_in_windows(order: np.ndarray, costs: np.ndarray, start: int, batch: int, rng: Generator) -> np.ndarray:
    """The shuffled rows ``order`` (n,) of an epoch, so that rows of like cost share a batch: a permutation of ``order``.

    ``costs`` (n,) are those of ``order``. ``start`` counts the rows of all epochs before, since batches begin at multiples of
    ``batch``. Each window of about `WINDOW` batches is sorted by cost and cut into batches, and its batches are shuffled.
    """
    head = min(-start % batch, len(order))  # rows that share a batch with the epoch before
    whole = (len(order) - head) // batch
    if not whole:
        return order
    count = max(1, round(whole / WINDOW))
    cuts = [0, *(head + batch * (whole * k // count) for k in range(1, count)), len(order)]
    parts = []
    for begin, end in pairwise(cuts):
        rows = order[begin:end][np.argsort(costs[begin:end], kind="stable")]
        parts.append(_shuffled(rows, 0 if begin else head, batch, rng))
    return np.concatenate(parts)


def _shuffled(rows: np.ndarray, head: int, batch: int, rng: Generator) -> np.ndarray:
    """The sorted rows of a window as batches in shuffled order, between ``head`` rows and what is left over.

    Rows that share a batch with another epoch come from the middle, so that the two epochs bring rows of like cost.
    """
    loose = head + (len(rows) - head) % batch
    middle = (len(rows) - loose) // 2 // batch * batch
    odd = rows[middle : middle + loose]
    batches = np.concatenate([rows[:middle], rows[middle + loose :]]).reshape(-1, batch)
    return np.concatenate([odd[:head], rng.permutation(batches).ravel(), odd[head:]])
