"""The U-Net of pix2pix (Isola et al. 2017, appendix 6.1.1) for pictures of any size."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..translation.geometry import Geometry

SLOPE = 0.2
Norm = Literal["none", "batch", "instance"]
"""Normalisation of a generator's maps. Only ``instance`` makes a pixel depend on the whole picture when samples are made."""
Statistics = Literal["running", "batch"]
"""What batch norm uses when samples are made: means kept from training, or the means of the pictures at hand."""


def normalisation(kind: Norm, channels: int, statistics: Statistics = "running") -> nn.Module:
    """The layer for maps (n, channels, H, W); ``none`` gives the identity."""
    if kind == "batch":
        return nn.BatchNorm2d(channels, track_running_stats=statistics == "running")
    return nn.InstanceNorm2d(channels) if kind == "instance" else nn.Identity()


def is_local(norm: Norm, statistics: Statistics = "running") -> bool:
    """Whether an output pixel depends on its neighbourhood alone when samples are made."""
    return norm == "none" or (norm == "batch" and statistics == "running")


def initialise(layer: nn.Module, gain: float = 1.0) -> None:
    """Weights N(0, gain^2 * 2 / ((1 + slope^2) * fan)) for leaky ReLU without norm (He et al. 2015), biases 0."""
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | ResizeConv)
    fan = layer.weight[0].numel()
    if isinstance(layer, nn.ConvTranspose2d):  # at stride 2, an output pixel sees a quarter of the kernel
        fan = layer.weight[:, 0].numel() / 4
    nn.init.normal_(layer.weight, 0, gain * math.sqrt(2 / ((1 + SLOPE**2) * fan)))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class ResizeConv(nn.Module):
    """Nearest-neighbour doubling, then a 3x3 convolution: (n, inputs, H, W) to (n, outputs, 2H, 2W).

    Resize convolutions leave no checkerboard (Odena et al. 2016). Both steps together are a transposed convolution whose 4x4
    kernel is the 3x3 kernel summed over 2x2 windows. That needs 4/9 of the multiplications, and no enlarged map.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.transpose(0, 1).flip(2, 3)  # (inputs, outputs, 3, 3)
        weight = F.pad(weight, (1, 0, 0, 0)) + F.pad(weight, (0, 1, 0, 0))
        weight = F.pad(weight, (0, 0, 1, 0)) + F.pad(weight, (0, 0, 0, 1))  # (inputs, outputs, 4, 4)
        return F.conv_transpose2d(x, weight, self.bias, stride=2, padding=1)


class UNet(nn.Module):
    """Pictures (n, inputs, H, W) to pictures (n, outputs, H, W) in [-1, 1]; both sides are multiples of 2^depth.

    ``depth`` strided convolutions halve the size, ``depth`` layers double the size, and equal sizes are joined. ``width``: channels
    of the first map; deeper maps have up to 8 times as many. ``up``: ``resize`` (`ResizeConv`, and the last layer sees the given
    picture too) or ``transposed``, the layers of published weights. ``dropout``: share of values that training drops in the deep
    layers of the way up, the noise of the paper. ``bounded``: whether tanh bounds the output.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        depth: int = 6,
        *,
        norm: Norm = "none",
        up: Literal["resize", "transposed"] = "resize",
        dropout: float = 0.0,
        statistics: Statistics = "running",
        bounded: bool = True,
    ) -> None:
        super().__init__()
        sizes = [width * min(8, 2**level) for level in range(depth)]
        bias = norm != "batch"
        self.dropout, self.dropped, self.bounded = dropout, range(1, max(2, depth - 4)), bounded
        self.down = nn.ModuleList(
            nn.Conv2d(i, o, 4, 2, 1, bias=bias) for i, o in zip([inputs, *sizes], sizes, strict=False)
        )
        # Neither the first nor the deepest map is normalised: the deepest may be a single pixel.
        self.down_norms = nn.ModuleList(
            normalisation(norm if 0 < level < depth - 1 else "none", size, statistics)
            for level, size in enumerate(sizes)
        )
        layers: list[nn.Module] = []
        norms: list[nn.Module] = []
        for level in reversed(range(depth)):
            i = sizes[level] * (1 if level == depth - 1 else 2)
            o, biased = (sizes[level - 1], bias) if level else (outputs, True)
            layers.append(
                ResizeConv(i, o, bias=biased) if up == "resize" else nn.ConvTranspose2d(i, o, 4, 2, 1, bias=biased)
            )
            norms.append(normalisation(norm if level else "none", o, statistics))
        self.up, self.up_norms = nn.ModuleList(layers), nn.ModuleList(norms)
        self.direct = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False) if up == "resize" else None
        last = 0.1  # far from the flat ends of tanh
        for i, layer in enumerate([*self.down, *layers]):
            initialise(layer, last if i == 2 * depth - 1 else 1.0)
        if self.direct is not None:
            initialise(self.direct, last)
        # A pixel of the map at level l reaches 1 pixel beyond its tile, and its input at level l - 1 twice as far and 1 more.
        self.geometry = Geometry(1, 2**depth, 2 ** (depth + 1) - 1 if is_local(norm, statistics) else None)

    def forward(self, image: Tensor) -> Tensor:
        """Pictures of the size of ``image``."""
        kept, h = [], image
        for layer, norm in zip(self.down, self.down_norms, strict=True):
            h = F.leaky_relu_(norm(layer(h)), SLOPE)
            kept.append(h)
        kept.pop()
        for i, (layer, norm) in enumerate(zip(self.up, self.up_norms, strict=True)):
            h = norm(layer(F.relu(h)))
            if self.dropout and i in self.dropped:
                h = F.dropout(h, self.dropout, self.training)
            if kept:
                h = torch.cat([kept.pop(), h], 1)
        if self.direct is not None:
            h = h + self.direct(image)
        return torch.tanh(h) if self.bounded else h
