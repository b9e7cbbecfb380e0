"""Which places of padded batches count, and means over them."""

from __future__ import annotations

import torch
from torch import Tensor


def inside(lengths: Tensor, size: int) -> Tensor:
    """(B, size) bool: whether a place lies below the length (B,)."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def mean_inside(values: Tensor, lengths: Tensor) -> Tensor:
    """(B,): the mean of each sample over the places of (B, L) that count; 0 for a sample without any.

    Padding has no weight: a batch's loss is then the same however its samples are shared out among processes.
    """
    return torch.where(inside(lengths, values.shape[1]), values, 0.0).sum(1) / lengths.clamp(min=1)
