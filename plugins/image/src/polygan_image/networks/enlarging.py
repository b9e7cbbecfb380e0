"""Networks that enlarge pictures of any size: ESRGAN's RRDB, Real-ESRGAN's compact network, and a small network for two CPU cores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..geometry import Geometry

_SLOPE = 0.2  # of leaky ReLU
_PART = 0.2  # of a residual branch that is added (Wang et al. 2018, section 3.1)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size; zeros lie around the picture."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, whose output starts at 0."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Residual(nn.Module):
    """x plus two convolutions of x, which start at 0; no normalisation (Lim et al. 2017, "EDSR", figure 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _convolution(width, width), _zero(_convolution(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x), inplace=True))


class Small(nn.Module):
    """Pictures (n, channels, H, W) in [-1, 1] to (n, channels, scale * H, scale * W): bicubic plus what residual blocks add.

    The blocks see the small picture, and pixel shuffle places their output. The network starts as bicubic enlargement.
    """

    def __init__(self, channels: int, scale: int, width: int = 32, depth: int = 4) -> None:
        super().__init__()
        self.geometry = Geometry(scale, halo=2 * depth + 2)  # bicubic enlargement alone has a halo of 2
        self.enter = _convolution(channels, width)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(depth)))
        self.leave = _zero(_convolution(width, channels * scale**2))

    def forward(self, image: Tensor) -> Tensor:
        """Pictures, about in [-1, 1]."""
        scale = self.geometry.scale
        size = [scale * side for side in image.shape[2:]]
        base = F.interpolate(image, size, mode="bicubic", align_corners=False)
        return base + F.pixel_shuffle(self.leave(self.blocks(self.enter(image))), scale)


class Compact(nn.Module):
    """Real-ESRGAN's SRVGGNetCompact: ``depth`` + 2 convolutions of the small picture, pixel shuffle, and the nearest pixels added.

    Pictures (n, channels, H, W) in [-1, 1] to (n, channels, scale * H, scale * W). Inside, values lie in [0, 1] as in the
    published weights, whose tensors have the same names here.
    """

    def __init__(self, channels: int, scale: int, width: int = 64, depth: int = 16) -> None:
        super().__init__()
        self.geometry = Geometry(scale, halo=depth + 2)
        layers: list[nn.Module] = []
        for i in range(depth + 1):
            layers += [_convolution(width if i else channels, width), nn.PReLU(width)]
        self.body = nn.Sequential(*layers, _convolution(width, channels * scale**2))

    def forward(self, image: Tensor) -> Tensor:
        """Pictures, about in [-1, 1]."""
        scale = self.geometry.scale
        x = (image + 1) / 2
        y = F.pixel_shuffle(self.body(x), scale) + F.interpolate(x, scale_factor=scale, mode="nearest")
        return 2 * y - 1


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees x and the outputs before; a part of the last is added to x (figure 4)."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3, self.conv4 = (_convolution(width + i * growth, growth) for i in range(4))
        self.conv5 = _convolution(width + 4 * growth, width)
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5):
            nn.init.kaiming_normal_(layer.weight)
            with torch.no_grad():
                layer.weight.mul_(0.1)  # smaller initial weights: section 3.1
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat([seen, F.leaky_relu(layer(seen), _SLOPE, inplace=True)], 1)
        return x + _PART * self.conv5(seen)


class RRDB(nn.Module):
    """A residual in residual dense block: three dense blocks, a part of whose output is added to x."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(width, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + _PART * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(nn.Module):
    """The generator of ESRGAN (Wang et al. 2018, section 3.1), x4, and x2 as in Real-ESRGAN (Wang et al. 2021, section 3.3).

    Pictures (n, channels, H, W) in [-1, 1] to (n, channels, scale * H, scale * W). At x2 squares of 2x2 pixels become channels
    first, so both sides must be even. Inside, values lie in [0, 1] as in the published weights, whose tensors have the same names.
    """

    def __init__(self, channels: int, scale: int, width: int = 64, depth: int = 23, growth: int = 32) -> None:
        super().__init__()
        self.folds = 4 // scale
        # 2 convolutions and 15 in each block, then 2 pixels for the 4 convolutions after each or both enlargements.
        self.geometry = Geometry(scale, multiple=self.folds, halo=self.folds * (15 * depth + 4))
        self.conv_first = _convolution(channels * self.folds**2, width)
        self.body = nn.Sequential(*(RRDB(width, growth) for _ in range(depth)))
        self.conv_body = _convolution(width, width)
        self.conv_up1, self.conv_up2 = _convolution(width, width), _convolution(width, width)
        self.conv_hr, self.conv_last = _convolution(width, width), _convolution(width, channels)

    def forward(self, image: Tensor) -> Tensor:
        """Pictures, about in [-1, 1]."""
        x = (image + 1) / 2
        x = self.conv_first(F.pixel_unshuffle(x, self.folds) if self.folds > 1 else x)
        x = x + self.conv_body(self.body(x))
        for layer in (self.conv_up1, self.conv_up2):
            x = F.leaky_relu(layer(F.interpolate(x, scale_factor=2, mode="nearest")), _SLOPE, inplace=True)
        return 2 * self.conv_last(F.leaky_relu(self.conv_hr(x), _SLOPE, inplace=True)) - 1
