"""The rows that an index means."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch


def rows_of(index: Any, n: int) -> int | list[int]:
    """A number from 0 for one of ``n`` samples, or the numbers that a slice, a sequence of numbers or a mask (n,) means."""
    if isinstance(index, slice):
        return list(range(n)[index])
    if np.ndim(index) == 0:
        return range(n)[operator.index(index)]
    picked = np.asarray(index.cpu() if torch.is_tensor(index) else index)
    if picked.dtype == bool and len(picked) != n:
        raise IndexError(f"a mask of {len(picked)} does not fit {n} samples")
    picked = np.flatnonzero(picked) if picked.dtype == bool else picked
    return [range(n)[operator.index(i)] for i in picked.tolist()]
