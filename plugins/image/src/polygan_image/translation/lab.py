"""What the networks of colours see and say of CIE Lab: lightness in, a and b out, and all three for discriminators."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from ..colour import lab_to_srgb, lightness, within_gamut
from ..geometry import Geometry, padded

if TYPE_CHECKING:
    from torch import Tensor, nn

_SPAN = 110.0
"""Largest value of a and b; sRGB needs 108."""
TYPICAL = 50.0
"""Values of a and b are divided by this number where a discriminator sees them, and in the regression."""


def chroma(network: nn.Module, given: Tensor) -> Tensor:
    """a and b (n, 2, H, W) of grey pictures (n, 1, H, W) in [-1, 1], in the precision of these pictures."""
    light = lightness(given) / 50 - 1
    return _SPAN * padded(network, light, cast("Geometry", network.geometry)).to(given.dtype)


def coloured(given: Tensor, ab: Tensor) -> Tensor:
    """sRGB (n, 3, H, W) in [-1, 1] of the grey's lightness; a colour that sRGB lacks gets less chroma."""
    return lab_to_srgb(within_gamut(torch.cat([lightness(given), ab], 1)))


def seen(light: Tensor, ab: Tensor) -> Tensor:
    """What a discriminator sees of L, a and b: (n, 3, H, W), about [-1, 1]."""
    return torch.cat([light / 50 - 1, ab / TYPICAL], 1)
