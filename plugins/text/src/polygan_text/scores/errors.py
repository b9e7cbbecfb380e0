"""Standard errors: how far a score would move if the same generator had written other texts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
GROUPS = 10
"""Groups of texts that `jackknife` leaves out in turn."""


def of_mean(values: Sequence[float] | np.ndarray) -> float | None:
    """The standard error of the mean of independent values; None for fewer than two values."""
    return None if len(values) < 2 else float(np.std(values, ddof=1)) / math.sqrt(len(values))


def of_ratio(above: Sequence[float] | np.ndarray, below: Sequence[float] | np.ndarray) -> float | None:
    """The standard error of sum(above) / sum(below), two numbers for each text (Cochran 1977, section 2.11); None for fewer than two."""
    a, b = np.asarray(above, float), np.asarray(below, float)
    if len(a) < 2 or not b.sum():
        return None
    left = a - a.sum() / b.sum() * b
    return float(np.sqrt(len(a) / (len(a) - 1) * np.square(left).sum()) / b.sum())


def jackknife(items: Sequence[T], measure: Callable[[list[T]], Sequence[float]]) -> list[float | None]:
    """Standard errors of scores of all items together, such as self-BLEU: a tenth of the items is left out in turn.

    The delete-a-group jackknife (Kott 2001): the root of (g - 1) / g times the sum of squares of the g scores around
    their mean. ``measure`` gives the scores of some of the items. Item i is in group i mod 10. None for fewer than 4 items.
    """
    groups = min(GROUPS, len(items))
    if groups < 4:
        return [None for _ in measure(list(items))]
    scores = np.array([measure([x for i, x in enumerate(items) if i % groups != g]) for g in range(groups)])
    spread = np.square(scores - scores.mean(0)).sum(0)
    return [float(error) for error in np.sqrt((groups - 1) / groups * spread)]
