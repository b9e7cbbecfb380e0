"""An exact categorical draw in two levels: first a block of the vocabulary, then a token of this block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

_COLUMNS = 100  # a block is every 100th token, so that its sum runs along contiguous memory


def draw(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Tokens (n,), one for each row of ``probabilities`` (n, V), which need not sum to 1; ``uniform`` (n, 2) in [0, 1).

    Inverts the cumulative distribution, first over the sums of blocks, then within the chosen block
    (Devroye 1986, "Non-uniform random variate generation", section III.2). This takes one pass over the vocabulary; an
    exponential race would take V random numbers a token. A token of probability 0 is never drawn.
    """
    n, size = probabilities.shape
    columns = min(_COLUMNS, size)
    rows = -(-size // columns)
    if rows * columns != size:
        probabilities = F.pad(probabilities, (0, rows * columns - size))
    grid = probabilities.view(n, rows, columns)
    block = _invert(grid.sum(1), uniform[:, :1])  # (n, 1)
    members = grid.gather(2, block[:, None].expand(n, rows, 1)).squeeze(2)  # (n, rows)
    return (_invert(members, uniform[:, 1:]) * columns + block).squeeze(1)


def _invert(weights: Tensor, uniform: Tensor) -> Tensor:
    """The first index (n, 1) whose cumulative weight exceeds ``uniform`` (n, 1) times the total."""
    cumulative = weights.cumsum(1)
    whole = cumulative[:, -1:]
    index = (cumulative <= uniform * whole).sum(1, keepdim=True)
    # Rounding may raise the product to the total: then take the last index with a weight above 0.
    last = (cumulative < whole).sum(1, keepdim=True)
    return torch.minimum(index, last)
