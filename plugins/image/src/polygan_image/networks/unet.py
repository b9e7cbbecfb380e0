"""The U-Net of pix2pix (Isola et al. 2017, appendix 6.1.1) for pictures of any size."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..geometry import Geometry
from .resnet import Enlarged, Norm, normalisation

SLOPE = 0.2

Statistics = Literal["running", "picture"]
"""What batch norm uses when pictures are made: means kept from training, or the means of each picture."""


def is_local(norm: Norm, statistics: Statistics = "running") -> bool:
    """Whether an output pixel depends on its neighbourhood alone when pictures are made."""
    return norm in ("none", "pixel") or (norm == "batch" and statistics == "running")


def normalise(norm: nn.Module, x: Tensor, statistics: Statistics = "running") -> Tensor:
    """Maps (n, C, H, W) through the layer ``norm``; with ``picture``, batch norm takes the means of each picture alone."""
    if statistics == "picture" and isinstance(norm, nn.BatchNorm2d) and not norm.training:
        return F.instance_norm(x, None, None, norm.weight, norm.bias, use_input_stats=True, eps=norm.eps)
    return norm(x)


def initialise(layer: nn.Module, gain: float = 1.0) -> None:
    """Weights N(0, gain^2 * 2 / ((1 + slope^2) * fan)) for leaky ReLU without norm (He et al. 2015), biases 0."""
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | Enlarged)
    fan = layer.weight[0].numel()
    if isinstance(layer, nn.ConvTranspose2d):  # at stride 2, an output pixel sees a quarter of the kernel
        fan = layer.weight[:, 0].numel() / 4
    nn.init.normal_(layer.weight, 0, gain * math.sqrt(2 / ((1 + SLOPE**2) * fan)))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class UNet(nn.Module):
    """Pictures (n, inputs, H, W) to pictures (n, outputs, H, W) in [-1, 1]; both sides are multiples of 2^depth.

    ``depth`` strided convolutions halve the size, ``depth`` layers double the size, and equal sizes are joined. ``width``: channels
    of the first map; deeper maps have up to 8 times as many. ``up``: ``resize`` (`Enlarged`, and the last layer sees the given
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
        norm: Norm = "pixel",
        up: Literal["resize", "transposed"] = "resize",
        dropout: float = 0.0,
        statistics: Statistics = "running",
        bounded: bool = True,
    ) -> None:
        super().__init__()
        sizes = [width * min(8, 2**level) for level in range(depth)]
        bias = norm != "batch"
        self.norm: Norm = norm
        self.statistics: Statistics = statistics
        self.depth = depth
        self.dropout, self.bounded = dropout, bounded
        self.dropped = range(1, min(max(2, depth - 4), depth - 1))
        self.down = nn.ModuleList(
            nn.Conv2d(i, o, 4, 2, 1, bias=bias) for i, o in zip([inputs, *sizes], sizes, strict=False)
        )
        # Neither the first nor the deepest map is normalised: the deepest may be a single pixel.
        self.down_norms = nn.ModuleList(
            normalisation(norm if 0 < level < depth - 1 else "none", size) for level, size in enumerate(sizes)
        )
        layers: list[nn.Module] = []
        norms: list[nn.Module] = []
        for level in reversed(range(depth)):
            i = sizes[level] * (1 if level == depth - 1 else 2)
            o, biased = (sizes[level - 1], bias) if level else (outputs, True)
            layers.append(
                Enlarged(i, o, bias=biased) if up == "resize" else nn.ConvTranspose2d(i, o, 4, 2, 1, bias=biased)
            )
            norms.append(normalisation(norm if level else "none", o))
        self.up, self.up_norms = nn.ModuleList(layers), nn.ModuleList(norms)
        self.direct = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False) if up == "resize" else None
        last = 0.1  # far from the flat ends of tanh
        for i, layer in enumerate([*self.down, *layers]):
            initialise(layer, last if i == 2 * depth - 1 else 1.0)
        if self.direct is not None:
            initialise(self.direct, last)
        self.geometry = self.geometry_of(statistics)

    def geometry_of(self, statistics: Statistics) -> Geometry:
        """The geometry of pictures made with these statistics of batch norm."""
        # A pixel of the map at level l reaches 1 pixel beyond its tile, and its input at level l - 1 twice as far and 1 more.
        halo = 2 ** (self.depth + 1) - 1 if is_local(self.norm, statistics) else None
        return Geometry(1, 2**self.depth, halo)

    def forward(self, image: Tensor, statistics: Statistics | None = None) -> Tensor:
        """Pictures of the size of ``image``; ``statistics`` instead of those that the network was made with."""
        kept, h = [], image
        own: Statistics = statistics or self.statistics
        for layer, norm in zip(self.down, self.down_norms, strict=True):
            h = F.leaky_relu_(normalise(norm, layer(h), own), SLOPE)
            kept.append(h)
        kept.pop()
        for i, (layer, norm) in enumerate(zip(self.up, self.up_norms, strict=True)):
            h = normalise(norm, layer(F.relu(h)), own)
            if self.dropout and i in self.dropped:
                h = F.dropout(h, self.dropout, self.training)
            if kept:
                h = torch.cat([kept.pop(), h], 1)
        if self.direct is not None:
            h = h + self.direct(image)
        return torch.tanh(h) if self.bounded else h
