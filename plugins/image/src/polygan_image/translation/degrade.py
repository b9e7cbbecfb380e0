"""Photographs made smaller and worse, as a poor camera takes them: what networks that enlarge pictures are trained on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from ..data.values.shrinking import cubic, distances, filtered, whole
from .jpeg import jpeg

if TYPE_CHECKING:
    from torch import Tensor

    from polygan import Noise

_BLUR = 0.2, 0.75
"""Standard deviations of blur along the two axes: the first in pixels of the large picture, the second in pixels of the small one."""
_GAUSSIAN = 15.0
"""Largest standard deviation of noise that does not depend on the light, of 255."""
_SHOT = 12.0
"""Largest standard deviation, of 255, of noise in white whose variance grows with the light."""
_QUALITY = 40.0, 95.0
"""Lowest and highest quality of JPEG files."""


def camera(image: Tensor, factor: int, noise: Noise) -> Tensor:
    """Pictures (n, 1 or 3, H, W) in [-1, 1] as a poor camera takes them, ``factor`` times smaller.

    The order is that of Real-ESRGAN (Wang et al. 2021, section 3.1), once and with milder numbers: blur by a Gaussian that may be
    longer than wide; a box, triangle or cubic filter; noise, in a part of the pictures the same in all channels; JPEG. Each picture has
    its own numbers from ``noise``, and no value is read from the device.
    """
    image = whole(image, factor)
    n, channels = image.shape[:2]
    draws = noise.uniform(n, 8).unbind(1)
    image = _blurred(image, factor, draws[0], draws[1], draws[2], draws[3])
    offsets = distances(factor, image) / factor
    box = (offsets.abs() < 0.5).to(image.dtype)
    filters = torch.stack([box, (1 - offsets.abs()).clamp(min=0), cubic(offsets)])  # (3, count)
    taps = filters[(draws[4] * 3).long()]  # (n, count)
    image = filtered(image, taps / taps.sum(1, keepdim=True), factor)
    image = _noisy(image, draws[5], draws[6], noise.normal(n, channels, *image.shape[2:]))
    low, high = _QUALITY
    return jpeg(image, low + (high - low) * draws[7])


def _blurred(image: Tensor, factor: int, one: Tensor, other: Tensor, round_: Tensor, angle: Tensor) -> Tensor:
    """Pictures under Gaussians with two standard deviations and a direction, all drawn from numbers (n,) in [0, 1)."""
    low, high = _BLUR[0], _BLUR[1] * factor
    radius = math.ceil(2.5 * high)
    along = low + (high - low) * one
    across = torch.where(round_ < 0.5, along, low + (high - low) * other)
    line = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    y, x = line[:, None], line[None, :]
    cos, sin = (f(math.pi * angle)[:, None, None] for f in (torch.cos, torch.sin))
    u, v = cos * x + sin * y, cos * y - sin * x  # (n, size, size)
    kernels = torch.exp(-0.5 * ((u / along[:, None, None]).square() + (v / across[:, None, None]).square()))
    kernels = kernels / kernels.sum((1, 2), keepdim=True)
    n, channels, height, width = image.shape
    padded = F.pad(image, (radius, radius, radius, radius), mode="replicate").flatten(0, 1)[None]
    y = F.conv2d(padded, kernels.repeat_interleave(channels, 0)[:, None], groups=n * channels)
    return y.view(n, channels, height, width)


def _noisy(image: Tensor, kind: Tensor, strength: Tensor, normal: Tensor) -> Tensor:
    """Pictures with one of two kinds of noise: the same in all light, or shot noise (a normal distribution in place of Poisson's).

    ``kind`` and ``strength`` (n,) lie in [0, 1). Two fifths of each kind have the same noise in all channels.
    """
    kind, strength = kind[:, None, None, None], strength[:, None, None, None]
    grey = (2 * kind % 1) < 0.4
    normal = torch.where(grey, normal[:, :1], normal)
    light = (image.clamp(-1, 1) + 1) / 2
    spread = torch.where(kind < 0.5, _GAUSSIAN * strength, _SHOT * strength * light.sqrt()) / 127.5
    return image + spread * normal
