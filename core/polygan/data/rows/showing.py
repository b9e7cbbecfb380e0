"""What a reader or a script sees of samples: one line about them, their numbers, and the rows that an index means."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


def as_numpy(data: Any) -> np.ndarray:
    """A tensor, or samples of one shape, as a NumPy array. ConfigError for anything else."""
    if torch.is_tensor(data):
        return data.detach().cpu().numpy()
    found = [one.detach().cpu().numpy() if torch.is_tensor(one) else np.asarray(one) for one in data]
    if len({one.shape for one in found}) > 1 or any(one.dtype.kind not in "iufb" for one in found):
        raise ConfigError("these samples are no numbers of one shape; iterate over them one by one")
    return np.stack(found) if found else np.zeros(0, np.float32)


def summary(samples: Any) -> Iterator[str]:
    """The parts of a line about `Samples`: how many of which domain, the shapes, the kind, the classes."""
    yield f"{len(samples):,} x {samples.domain.id if samples.domain else 'a sample without a domain'}"
    data, names = samples.data, list(samples.classes)
    sizes = {tuple(x.shape) for x in data if torch.is_tensor(x)} if isinstance(data, list | tuple) else set()
    shapes = sorted({tuple(data.shape[1:])} if torch.is_tensor(data) else sizes)
    if shapes and shapes[0]:
        first, last = ("x".join(map(str, shape)) for shape in (shapes[0], shapes[-1]))
        yield first if first == last else f"{first} to {last}"
    if samples.kind != "set":
        yield samples.kind + (f" of {samples.columns} columns" if samples.columns else "")
    if names:
        more = f", ... ({len(names):,} in all)" if len(names) > 8 else ""
        yield f"classes: {', '.join(names[:8])}{more}"


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
