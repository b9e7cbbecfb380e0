"""Batches by index: what a turn is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, DataError
from ..seeding import mix

if TYPE_CHECKING:
    from .domain import Domain
    from .source import Batch
    from .store import Split
_DRAWS = 4


class Stream:
    """Batches by index: batch i is a pure function of (seed, i).

    Global batch i holds rows i*B .. (i+1)*B - 1 of an endless sequence of epochs, each a permutation of the split; a process
    gets its contiguous share. Raises DataError where the batch is larger than the split.
    """

    def __init__(self, split: Split, domain: Domain, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if batch_size > len(split):
            raise DataError(
                f"batch_size = {batch_size} is larger than the data: {len(split)} {split.name} samples; use a smaller "
                "--batch_size, or more data"
            )
        if batch_size % world:
            raise ConfigError(
                f"batch_size = {batch_size} cannot be shared by {world} processes; use a multiple of {world}"
            )
        self.split, self.domain, self.batch_size, self.seed = split, domain, batch_size, seed
        self.rank, self.world = rank, world
        self._orders: dict[int, np.ndarray] = {}

    def _order(self, epoch: int) -> np.ndarray:
        order = self._orders.get(epoch)
        if order is None:
            rng = np.random.Generator(np.random.Philox(key=mix(self.seed, 1, epoch)))
            order = self.split.rows[rng.permutation(len(self.split))]
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
        draws = rng.random((self.batch_size, _DRAWS))
        return self.domain.collate(self.split, self.rows(i)[mine], draws[mine])
