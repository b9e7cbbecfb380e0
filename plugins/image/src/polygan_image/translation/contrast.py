"""Patches of two pictures compared by contrast (Park et al. 2020, "Contrastive learning for unpaired image-to-image translation")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polygan import Noise


class Projection(nn.Module):
    """A small network for each layer (section 3): ``channels`` to ``width`` numbers of length 1, ReLU between its two linear layers."""

    def __init__(self, channels: Sequence[int], width: int = 256) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(c, width), nn.ReLU(), nn.Linear(width, width)) for c in channels
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.02)
                nn.init.zeros_(module.bias)

    def forward(self, patches: Sequence[Tensor]) -> list[Tensor]:
        """For each layer, vectors (n, P, width) of its patches (n, P, channels)."""
        return [F.normalize(layer(p), dim=2) for layer, p in zip(self.layers, patches, strict=True)]


def positions(noise: Noise, maps: Sequence[Tensor], count: int) -> list[Tensor]:
    """For each map (n, C, H, W), ``count`` random positions (n, P) in [0, H * W) of each picture, none twice; all if there are fewer."""
    found = []
    for x in maps:
        size = x.shape[2] * x.shape[3]
        found.append(noise.uniform(len(x), size).topk(min(count, size), dim=1).indices)
    return found


def gathered(maps: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
    """For each map (n, C, H, W), the vectors (n, P, C) at its positions (n, P)."""
    found = []
    for x, place in zip(maps, places, strict=True):
        rows = x.flatten(2).transpose(1, 2)  # (n, H * W, C)
        found.append(rows.gather(1, place[:, :, None].expand(-1, -1, rows.shape[2])))
    return found


def patch_nce(query: Tensor, key: Tensor, temperature: float = 0.07) -> Tensor:
    """-log(exp(q.k / t) / (exp(q.k / t) + sum over other places of exp(q.k' / t))), eq. 3: the mean over pictures and places.

    ``query`` and ``key`` (n, P, d) have length 1; row p of both is the same place. Keys get no gradient.
    """
    logits = query @ key.detach().transpose(1, 2) / temperature  # (n, P, P)
    right = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
    return F.cross_entropy(logits.flatten(0, 1), right.flatten())
