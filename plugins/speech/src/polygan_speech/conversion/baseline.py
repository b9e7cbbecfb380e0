"""The trivial conversion that every score stands beside: bands get the other speaker's mean and deviation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def match_statistics(mel: Tensor, source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
    """Log-mel (n_mels, F) of one speaker with the mean and deviation of each band, (n_mels,) each, of another."""
    (mean, deviation), (new_mean, new_deviation) = ([x[:, None] for x in pair] for pair in (source, target))
    return (mel - mean) / deviation * new_deviation + new_mean
