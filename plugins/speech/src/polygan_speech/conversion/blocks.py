"""ConvNeXt blocks along time whose norm depends on the speaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE = 7
"""Frames of a convolution along time."""


class SpeakerNorm(nn.Module):
    """Layer norm over channels, whose scale and shift belong to a speaker (Dumoulin et al. 2017, eq. 5)."""

    def __init__(self, dim: int, speakers: int) -> None:
        """``speakers`` 1: one scale and one shift for all, as usual."""
        super().__init__()
        self.dim = (dim,)
        self.own = nn.Embedding(speakers, 2 * dim)
        nn.init.zeros_(self.own.weight)

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        """(B, 1, F, C) of speakers ``label`` (B,); None: all are the first."""
        weight = self.own.weight[:1] if label is None else self.own(label)
        scale, shift = weight[:, None, None].chunk(2, 3)  # (B, 1, 1, C)
        return F.layer_norm(x, self.dim, eps=1e-6) * (1 + scale) + shift


class Block(nn.Module):
    """Depthwise convolution, norm, two dense layers, scaled and added (Liu et al. 2022, figure 4)."""

    def __init__(self, dim: int, hidden: int, scale: float, speakers: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, (1, SIZE), padding=(0, SIZE // 2), groups=dim)
        self.norm = SpeakerNorm(dim, speakers)
        self.widen, self.narrow = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.scale = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """(B, C, 1, F) in channels_last, in which channels lie beside each other for the dense layers."""
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1), label)  # (B, 1, F, C)
        y = self.narrow(F.gelu(self.widen(y))) * self.scale
        return x + y.permute(0, 3, 1, 2)


def begin(modules: Iterable[nn.Module]) -> None:
    """Small weights and no biases, for convolutions and dense layers."""
    for module in modules:
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def planar(x: Tensor) -> Tensor:
    """(B, C, F) as (B, C, 1, F) in channels_last."""
    return x[:, :, None].contiguous(memory_format=torch.channels_last)
