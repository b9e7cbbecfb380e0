"""JPEG compression and decompression as tensor arithmetic, so that training pictures can be compressed on their device."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# The tables that ITU-T T.81 (1992), annex K gives as examples, and that encoders use; rows of 8.
_LUMA = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""
_CHROMA = """17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99"""
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


def jpeg(image: Tensor, quality: Tensor) -> Tensor:
    """Pictures (n, 1 or 3, H, W) in [-1, 1] as a JPEG file of ``quality`` (n,) in [1, 100] keeps them, rounded to 8 bits.

    The arithmetic of the usual encoder (ITU-T T.81, libjpeg's scale of qualities) with half the resolution for colour. Pixels differ
    from libjpeg's by less than 1 of 255 in the mean, since libjpeg's transforms round more often. No gradient passes.
    """
    height, width = image.shape[2:]
    colour = image.shape[1] == 3
    step = 16 if colour else 8
    image = F.pad(image.detach(), (0, -width % step, 0, -height % step), mode="replicate")
    pixels = ((image.clamp(-1, 1) + 1) * 127.5).round()
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    if colour:
        luma, blue, red = _mixed(pixels, _TO_YCC).round().split(1, 1)
        chroma = F.avg_pool2d(torch.cat([blue, red], 1), 2).round()
        chroma = _coded(chroma, _table(_CHROMA, scale))
        # libjpeg's own enlargement: 3/4 of the nearer and 1/4 of the farther value.
        chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False).round()
        pixels = _mixed(torch.cat([_coded(luma - 128, _table(_LUMA, scale)), chroma], 1), _TO_RGB)
    else:
        pixels = _coded(pixels - 128, _table(_LUMA, scale))
    pixels = (pixels + 128).round().clamp(0, 255)
    return (pixels / 127.5 - 1)[:, :, :height, :width]


def _mixed(image: Tensor, weights: tuple[tuple[float, ...], ...]) -> Tensor:
    """The three channels of pictures (n, 3, H, W), mixed by the rows of ``weights``."""
    a, b, c = image.split(1, 1)
    return torch.cat([x * a + y * b + z * c for x, y, z in weights], 1)


def _table(steps: str, scale: Tensor) -> Tensor:
    """The steps of quantisation (n, 1, 1, 1, 8, 8) for scales (n,) in percent."""
    base = torch.tensor([float(x) for x in steps.split()], device=scale.device, dtype=scale.dtype).view(8, 8)
    return ((base * scale[:, None, None, None, None, None] + 50) / 100).floor().clamp(1, 255)


def _coded(image: Tensor, table: Tensor) -> Tensor:
    """Values (n, c, H, W) in [-128, 127]: the cosine transform of each square of 8x8, quantised, and back."""
    n, c, height, width = image.shape
    squares = image.view(n, c, height // 8, 8, width // 8, 8).transpose(3, 4)  # (n, c, H/8, W/8, 8, 8)
    cosines = _cosines(image)
    found = cosines @ squares @ cosines.T
    back = cosines.T @ ((found / table).round() * table) @ cosines
    return back.transpose(3, 4).reshape(n, c, height, width).round().clamp(-128, 127)


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal matrix (8, 8) of the cosine transform; row k has frequency k."""
    k = torch.arange(8, device=like.device, dtype=like.dtype)
    rows = torch.cos(math.pi / 8 * torch.outer(k, k + 0.5)) / 2
    return torch.where(k[:, None] == 0, math.sqrt(1 / 8), rows)
