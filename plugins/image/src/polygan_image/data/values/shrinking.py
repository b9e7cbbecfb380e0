"""Pictures made smaller on their device: the given side of pairs, and what networks that enlarge are trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from polygan import ConfigError

if TYPE_CHECKING:
    from torch import Tensor


def whole(image: Tensor, factor: int) -> Tensor:
    """Pictures (n, C, H, W) without the last rows and columns that make no whole pixel of a picture ``factor`` times smaller."""
    height, width = (side // factor * factor for side in image.shape[2:])
    if not height or not width:
        size = f"{image.shape[3]}x{image.shape[2]}"
        raise ConfigError(
            f"a picture of {size} pixels cannot be made {factor} times smaller; leave out pictures of that size"
        )
    return image[:, :, :height, :width]


def shrink(image: Tensor, factor: int) -> Tensor:
    """Pictures (n, C, H, W) in [-1, 1], ``factor`` times smaller: (n, C, H // factor, W // factor) in [-1, 1].

    Bicubic with antialiasing, as in Pillow (Keys 1981, a = -1/2; the filter is cut off and weighted anew at borders), without
    rounding to 8 bits. `whole` drops the rows and columns that are left over first.
    """
    image = whole(image, factor)
    if factor == 1:
        return image
    taps = cubic(distances(factor, image) / factor)
    return filtered(image, taps.expand(1, -1), factor).clamp(-1, 1)


def cubic(x: Tensor) -> Tensor:
    """The cubic of Keys (1981) with a = -1/2 at distances ``x``."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x.square() + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def distances(factor: int, like: Tensor) -> Tensor:
    """Distances, in input pixels, of the input pixels around an output pixel from the output pixel's centre."""
    count = 4 * factor - factor % 2
    return torch.arange(count, device=like.device, dtype=like.dtype) - (count - 1) / 2


def filtered(image: Tensor, taps: Tensor, factor: int) -> Tensor:
    """Rows and columns of pictures (n, C, H, W) filtered and strided; ``taps`` (1 or n, count), for `distances`."""
    n, channels, *sides = image.shape
    count, padding = taps.shape[1], 3 * factor // 2
    groups = n * channels if len(taps) > 1 else 1  # the same filter for all pictures, or a filter for each
    weight = taps.repeat_interleave(channels if groups > 1 else 1, 0)[:, None]  # (groups, 1, count)
    x = image.flatten(0, 1)[None] if groups > 1 else image.flatten(0, 1)[:, None]
    for axis, side in enumerate(sides):
        # Past the border there is nothing: the taps that remain are weighted anew.
        within = F.conv1d(taps.new_ones(1, 1, side), weight, stride=factor, padding=padding)[0]
        shape, stride, pad = (
            ((count, 1), (factor, 1), (padding, 0)) if axis == 0 else ((1, count), (1, factor), (0, padding))
        )
        x = F.conv2d(x, weight.view(-1, 1, *shape), stride=stride, padding=pad, groups=groups)
        x = x / (within[:, :, None] if axis == 0 else within[:, None])
    return x.view(n, channels, *x.shape[2:])
