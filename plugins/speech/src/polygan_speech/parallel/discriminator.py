"""A discriminator of patches of mels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

if TYPE_CHECKING:
    from polygan_audio.networks.discriminators import Features

_SLOPE = 0.2
_LAYERS = (((5, 5), (2, 1)), ((3, 3), (2, 2)), ((3, 3), (2, 2)), ((3, 3), (1, 1)))
"""Kernel size and stride along bands and frames."""


class Patches(nn.Module):
    """Is a patch of a mel real? A plain network of convolutions (Isola et al. 2017, PatchGAN) that also sees the band's height."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [2, width, 2 * width, 4 * width, 4 * width]
        self.layers = nn.ModuleList(
            parametrizations.weight_norm(nn.Conv2d(a, b, size, stride, tuple(s // 2 for s in size)))
            for a, b, (size, stride) in zip(channels, channels[1:], _LAYERS, strict=False)
        )
        self.head = parametrizations.weight_norm(nn.Conv2d(channels[-1], 1, 3, padding=1))

    def forward(self, mel: Tensor) -> Features:
        """Normalised mels (B, n_mels, W) to the maps of one member; the last one is the logits of the patches."""
        height = torch.linspace(-1, 1, mel.shape[1], device=mel.device, dtype=mel.dtype)[None, :, None].expand_as(mel)
        x, maps = torch.stack([mel, height], 1), []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), _SLOPE)
            maps.append(x)
        return [[*maps, self.head(x)]]


def windows(mel: Tensor, frames: Tensor, start: Tensor, size: int) -> Tensor:
    """``size`` frames of each mel (B, n_mels, F) from a random place on, zeros behind a mel's end: (B, n_mels, size).

    ``start`` (B,) uniform in [0, 1) chooses the place among those that hold as many frames as there are.
    """
    first = (start * (frames - size + 1).clamp(min=1)).long().clamp(min=0)
    place = first[:, None] + torch.arange(size, device=mel.device)  # (B, size)
    kept = (place < frames[:, None])[:, None].to(mel.dtype)
    place = place.clamp(max=mel.shape[2] - 1)[:, None].expand(-1, mel.shape[1], -1)
    return mel.gather(2, place) * kept
