"""The smallest, the largest and the outermost usual values of the data, found once and kept."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from polygan import DataError, remembered

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..settings import ImageSettings

_VERSION = 1  # of what is found in the same values
_PIECE = 256  # pictures that are asked for at once
_TAKEN = 2**24  # values of all pictures together, for the percentiles
PERCENTILES = (0.5, 99.5)


class Range(NamedTuple):
    """Values of a source."""

    low: float
    high: float
    low_percentile: float
    high_percentile: float


def range_of(settings: ImageSettings, identity: str, count: int, values: Callable[[int], np.ndarray]) -> Range:
    """The range of ``count`` pictures, from the cache where pictures of this ``identity`` were looked at before.

    ``values(i)`` gives an array of any shape; a picture that cannot be read is passed over. Raises DataError if none can be read.
    """
    key = repr(("range of values", _VERSION, identity))
    return Range(*remembered(settings, key, lambda: _found(count, values)))


def _found(count: int, values: Callable[[int], np.ndarray]) -> list[float]:
    share = max(64, _TAKEN // count)
    low, high, taken, fault = np.inf, -np.inf, list[np.ndarray](), ""

    def look(index: int) -> tuple[float, float, np.ndarray] | Exception:
        try:
            found = values(index).reshape(-1)
        except (DataError, OSError, ValueError) as error:
            return error
        return float(found.min()), float(found.max()), found[:: -(-found.size // share)].copy()

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "polygan-values") as pool:
        for start in range(0, count, _PIECE):  # a future for each picture of a large source would fill the memory
            for found in pool.map(look, range(start, min(start + _PIECE, count))):
                if isinstance(found, Exception):
                    fault = fault or str(getattr(found, "strerror", None) or found)
                    continue
                low, high = min(low, found[0]), max(high, found[1])
                taken.append(found[2])
    if not taken:
        raise DataError(f"none of {count:,} pictures can be read ({fault}); repair them")
    return [low, high, *np.percentile(np.concatenate(taken), PERCENTILES).tolist()]
