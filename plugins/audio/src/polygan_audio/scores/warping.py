"""Two sequences of frames laid beside each other: dynamic time warping, for speech that does not keep the time."""

from __future__ import annotations

import numpy as np


def warped(distances: np.ndarray) -> float:
    """The mean of distances (I, J) between the frames of two sequences along the best path; nan where one has no frames.

    The path leads from (0, 0) to (I - 1, J - 1) by steps (1, 1), (1, 0) and (0, 1), all of weight 1. Its sum of distances is the
    smallest (Sakoe and Chiba 1978, without a band). The mean is that sum over the cells of the path; of equal paths, a cell
    prefers the step (1, 1).
    """
    rows, columns = distances.shape
    if not rows or not columns:
        return float("nan")
    flipped = distances[:, ::-1]
    # Cell (i, j) lies on anti-diagonal i + j. Entry i + 1 of a vector belongs to row i; entry 0 is outside.
    outside = np.full(rows + 1, np.inf)
    last, older = (outside, np.zeros(rows + 1)), (outside.copy(), np.zeros(rows + 1))  # sums, cells of the path
    older[0][0] = 0.0  # the path enters (0, 0) from here
    for diagonal in range(rows + columns - 1):
        cells = flipped.diagonal(columns - 1 - diagonal)
        low = max(0, diagonal - columns + 1)
        high = low + len(cells)
        sums, steps = (
            np.stack([a[low:high], b[low:high], b[low + 1 : high + 1]]) for a, b in zip(older, last, strict=True)
        )
        best = sums.argmin(0)[None]  # (1, cells)
        new = outside.copy(), np.zeros(rows + 1)
        new[0][low + 1 : high + 1] = cells + np.take_along_axis(sums, best, 0)[0]
        new[1][low + 1 : high + 1] = 1 + np.take_along_axis(steps, best, 0)[0]
        older, last = last, new
    return float(last[0][-1] / last[1][-1])
