"""Discriminators of patches: a logit for each place of a picture (Isola et al. 2017), at several scales (Wang et al. 2018)."""

from __future__ import annotations

from typing import Literal, overload

import torch.nn.functional as F
from torch import Tensor, nn

from polygan.losses import spectral_norm

from .resnet import normalisation
from .unet import SLOPE, initialise

PatchNorm = Literal["none", "pixel", "batch", "instance", "spectral"]
"""Normalisation of a discriminator's maps, or of its weights (``spectral``)."""


class PatchDiscriminator(nn.Module):
    """Pictures (n, channels, H, W) to logits (n, 1, H', W'); with 3 layers a logit judges 70x70 pixels.

    ``layers`` strided 4x4 convolutions, and two of stride 1, in the order of the published weights. ``width``: channels of the
    first map; deeper maps have up to 8 times as many.
    """

    def __init__(self, channels: int, width: int = 64, layers: int = 3, norm: PatchNorm = "none") -> None:
        super().__init__()
        kind = "none" if norm == "spectral" else norm
        sizes = [width * min(8, 2**level) for level in range(layers + 1)]
        body: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(SLOPE, inplace=True)]
        for level in range(1, layers + 1):
            stride = 2 if level < layers else 1
            body += [
                nn.Conv2d(sizes[level - 1], sizes[level], 4, stride, 1, bias=norm != "batch"),
                normalisation(kind, sizes[level]),
                nn.LeakyReLU(SLOPE, inplace=True),
            ]
        body.append(nn.Conv2d(sizes[-1], 1, 4, 1, 1))
        for layer in body:
            if isinstance(layer, nn.Conv2d):
                initialise(layer)
        self.model = nn.Sequential(*body)
        if norm == "spectral":
            spectral_norm(self.model)

    @overload
    def forward(self, image: Tensor) -> Tensor: ...
    @overload
    def forward(self, image: Tensor, *, features: Literal[True]) -> list[Tensor]: ...
    def forward(self, image: Tensor, *, features: bool = False) -> Tensor | list[Tensor]:
        """Logits (n, 1, H', W'). With ``features``: the map after each activation, then the logits."""
        maps = []
        for layer in self.model:
            image = layer(image)
            if isinstance(layer, nn.LeakyReLU):
                maps.append(image)
        return [*maps, image] if features else image


class MultiScale(nn.Module):
    """``scales`` patch discriminators: the first sees the pictures, each further one sees them at half the size."""

    def __init__(
        self, channels: int, width: int = 64, layers: int = 3, norm: PatchNorm = "none", *, scales: int = 1
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(channels, width, layers, norm) for _ in range(scales))

    @overload
    def forward(self, image: Tensor) -> list[Tensor]: ...
    @overload
    def forward(self, image: Tensor, *, features: Literal[True]) -> list[list[Tensor]]: ...
    def forward(self, image: Tensor, *, features: bool = False) -> list[Tensor] | list[list[Tensor]]:
        """The logits (n, 1, H', W') of each scale. With ``features``: the list of `PatchDiscriminator` for each scale."""
        found = []
        for i, discriminator in enumerate(self.scales):
            if i:
                image = F.avg_pool2d(image, 3, 2, 1, count_include_pad=False)
            found.append(discriminator(image, features=True) if features else discriminator(image))
        return found


def smallest_side(layers: int, scales: int = 1) -> int:
    """The smallest side in pixels of which each scale's discriminator gives at least one logit."""
    side = 3 * 2**layers
    for _ in range(scales - 1):
        side = 2 * side - 1
    return side
