"""Batches of like cost: the order of an epoch, sorted within shuffled windows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator

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
