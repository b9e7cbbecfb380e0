"""The generator of SPADE (Park et al. 2019, arXiv:1903.07291): pictures from label maps, without a vector of style."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..geometry import Geometry
from .resnet import Norm, PixelNorm
from .unet import SLOPE, is_local


class Spade(nn.Module):
    """Maps (n, channels, H, W), normalised, then scaled and shifted by what convolutions see in the given picture (eq. 1)."""

    def __init__(self, channels: int, given: int, hidden: int, norm: Norm) -> None:
        super().__init__()
        layers = {
            "batch": lambda: nn.BatchNorm2d(channels, affine=False),
            "instance": lambda: nn.InstanceNorm2d(channels),
            "pixel": lambda: PixelNorm(channels, elementwise_affine=False),
            "none": nn.Identity,
        }
        self.norm: nn.Module = layers[norm]()
        self.shared = nn.Conv2d(given, hidden, 3, padding=1)
        self.modulation = nn.Conv2d(hidden, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        """``given`` (n, given, H, W) has the size of ``x``."""
        gamma, beta = self.modulation(F.relu_(self.shared(given))).chunk(2, 1)
        return torch.addcmul(beta, self.norm(x), 1 + gamma)


class SpadeBlock(nn.Module):
    """A residual block of two 3x3 convolutions, each after `Spade` and leaky ReLU (figure 4)."""

    def __init__(self, inputs: int, outputs: int, given: int, hidden: int, norm: Norm) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.first, self.second = Spade(inputs, given, hidden, norm), Spade(middle, given, hidden, norm)
        self.conv1 = nn.Conv2d(inputs, middle, 3, padding=1)
        self.conv2 = nn.Conv2d(middle, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else None
        self.spade = Spade(inputs, given, hidden, norm) if inputs != outputs else None

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        h = self.conv1(F.leaky_relu_(self.first(x, given), SLOPE))
        h = self.conv2(F.leaky_relu_(self.second(h, given), SLOPE))
        if self.short is not None and self.spade is not None:
            x = self.short(self.spade(x, given))
        return x + h


class SpadeGenerator(nn.Module):
    """Label maps (n, inputs, H, W), one-hot, to pictures (n, outputs, H, W) in [-1, 1]; sides are multiples of 2^depth.

    The label map at 1 / 2^depth of its size starts the picture; `SpadeBlock`s see the map again at each size. ``width``: channels
    of the finest map; coarser maps have up to 8 times as many.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int = 64, depth: int = 5, *, hidden: int = 64, norm: Norm = "pixel"
    ) -> None:
        super().__init__()
        sizes = [width * min(8, 2**level) for level in reversed(range(depth + 1))]
        self.start = nn.Conv2d(inputs, sizes[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            SpadeBlock(i, o, inputs, hidden, norm) for i, o in zip([sizes[0], *sizes[:-1]], sizes, strict=True)
        )
        self.last = nn.Conv2d(sizes[-1], outputs, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight, 1 / math.sqrt(2) if norm == "none" else 1.0)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.geometry = Geometry(1, 2**depth, _halo(depth) if is_local(norm) else None)

    def forward(self, image: Tensor) -> Tensor:
        """Pictures of the size of ``image``."""
        levels = [image]  # nearest, so that a pixel has one class
        for _ in self.blocks[1:]:
            levels.append(levels[-1][:, :, ::2, ::2])
        h = self.start(levels[-1])
        for i, block in enumerate(self.blocks):
            if i:
                h = F.interpolate(h, scale_factor=2.0, mode="nearest")
            h = block(h, levels[-1 - i])
        return torch.tanh(self.last(F.leaky_relu(h, SLOPE)))


def _halo(depth: int) -> int:
    """Pixels beyond a tile that the tile depends on: the largest reach of the label map at any level."""
    reach, halo = 1, 0  # the last convolution
    for level in range(depth + 1):
        halo = max(halo, (reach + 4) * 2**level)  # two convolutions of the block, and two to its first modulation
        reach = math.ceil((reach + 2) / 2) if level < depth else reach + 3
    return max(halo, reach * 2**depth)
