"""The ResNet generator of CycleGAN (Johnson et al. 2016; Zhu et al. 2017, appendix 7.2), for pictures of any size."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..geometry import Geometry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Norm = Literal["none", "pixel", "batch", "instance"]
"""What follows a convolution. ``pixel``: layer norm over the channels of each position; with ``instance`` no halo is exact."""

Up = Literal["resize", "transposed", "antialias"]
"""How a map is enlarged: pixels repeated, then a convolution; a transposed convolution; a FIR filter, then a convolution."""

DOUBLINGS = 2


class PixelNorm(nn.LayerNorm):
    """Layer norm over the channels of each position of maps (n, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """Maps of the same shape; a map in channels_last is not copied."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def normalisation(norm: Norm, channels: int) -> nn.Module:
    """The layer for maps of ``channels``. ``instance`` learns nothing, as in the published networks."""
    layers = {"pixel": PixelNorm, "batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}
    return nn.Identity() if norm == "none" else layers[norm](channels)


class Reflected(nn.Conv2d):
    """A convolution of stride 1 after reflection padding, or repeated edges where a map is too small to be reflected."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, bias=bias)
        self.edge = kernel // 2

    def forward(self, input: Tensor) -> Tensor:
        """(n, inputs, H, W) to (n, outputs, H, W)."""
        mode = "reflect" if min(input.shape[2:]) > self.edge else "replicate"
        return super().forward(F.pad(input, [self.edge] * 4, mode=mode))


class Blur(nn.Module):
    """FIR resampling by 2 (Zhang 2019, "Making convolutional networks shift-invariant again"), as in CUT.

    ``up``: filter [1, 3, 3, 1], edges repeated, to (2H, 2W); otherwise [1, 2, 1], edges reflected, to (H / 2, W / 2).
    """

    taps: Tensor

    def __init__(self, channels: int, *, up: bool) -> None:
        super().__init__()
        taps = torch.tensor([1, 3, 3, 1] if up else [1, 2, 1])
        # Whole numbers, because processes average buffers of floats.
        self.register_buffer("taps", torch.outer(taps, taps)[None, None], persistent=False)
        self.channels, self.up, self.gain = channels, up, 1 / 16

    def forward(self, x: Tensor) -> Tensor:
        channels = self.channels
        taps = (self.taps.to(x.dtype) * self.gain).expand(channels, 1, *self.taps.shape[2:])
        if self.up:
            x = F.pad(x, [1] * 4, mode="replicate")
            return F.conv_transpose2d(x, taps, stride=2, padding=3, groups=channels)
        x = F.pad(x, [1] * 4, mode="reflect" if min(x.shape[2:]) > 1 else "replicate")
        return F.conv2d(x, taps, stride=2, groups=channels)


class Enlarged(nn.Conv2d):
    """Each pixel repeated to 2x2, then a 3x3 convolution with zeros around the map: no checkerboard (Odena et al. 2016).

    Computed as one transposed 4x4 convolution of stride 2 with sums of the weights: 16 products a pixel instead of 36.
    """

    sums: Tensor

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)
        one = torch.tensor(
            [[0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0]]
        )  # which of the 4 places a row of the kernel reaches
        # Whole numbers, because processes average buffers of floats.
        self.register_buffer("sums", torch.kron(one, one), persistent=False)

    def folded(self) -> Tensor:
        """The kernel (inputs, outputs, 4, 4) of the transposed convolution of stride 2 and padding 1."""
        weight = self.weight.transpose(0, 1)
        # One product with a matrix, since sums of slices would write a map of zeros for each slice on the way back.
        sums = weight.reshape(-1, 9) @ self.sums.to(weight.dtype)  # (inputs * outputs, 16)
        return sums.view(*weight.shape[:2], 4, 4)

    def forward(self, input: Tensor) -> Tensor:
        """(n, inputs, H, W) to (n, outputs, 2H, 2W)."""
        return F.conv_transpose2d(input, self.folded(), self.bias, stride=2, padding=1)


class Residual(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))): two 3x3 convolutions with reflection padding."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        bias = norm != "batch"
        self.conv1, self.norm1 = Reflected(width, width, 3, bias=bias), normalisation(norm, width)
        self.conv2, self.norm2 = Reflected(width, width, 3, bias=bias), normalisation(norm, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm2(self.conv2(torch.relu_(self.norm1(self.conv1(x)))))


class Down(nn.Module):
    """A 3x3 convolution, norm and ReLU to (n, outputs, H / 2, W / 2); with ``antialias`` a filter halves, not the stride."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, antialias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, 1 if antialias else 2, 1, bias=norm != "batch")
        self.norm = normalisation(norm, outputs)
        self.blur = Blur(outputs, up=False) if antialias else nn.Identity()

    def finish(self, convolved: Tensor) -> Tensor:
        """What follows the convolution."""
        return self.blur(torch.relu(self.norm(convolved)))


class UpBlock(nn.Module):
    """A map enlarged to (n, outputs, 2H, 2W), norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, up: Up) -> None:
        super().__init__()
        bias = norm != "batch"
        self.blur = Blur(inputs, up=True) if up == "antialias" else nn.Identity()
        self.conv: nn.Module = (
            Enlarged(inputs, outputs, bias=bias)
            if up == "resize"
            else nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1, bias=bias)
            if up == "transposed"
            else nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
        )
        self.norm = normalisation(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu_(self.norm(self.conv(self.blur(x))))


class ResNetGenerator(nn.Module):
    """Pictures (n, inputs, H, W) in [-1, 1] to pictures (n, outputs, H, W) in [-1, 1]; both sides are multiples of 4.

    A 7x7 convolution, two halvings, ``blocks`` residual blocks, two doublings, a 7x7 convolution and tanh. With ``up`` =
    antialias, FIR filters halve and double, as in CUT; otherwise strides halve. The names of the state are in the order of the
    published networks' names.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        blocks: int = 9,
        *,
        norm: Norm = "pixel",
        up: Up = "resize",
    ) -> None:
        super().__init__()
        antialias = up == "antialias"
        widths = [width << i for i in range(DOUBLINGS + 1)]
        self.first = Reflected(inputs, width, 7, bias=norm != "batch")
        self.first_norm = normalisation(norm, width)
        self.down = nn.ModuleList(Down(i, o, norm, antialias) for i, o in itertools.pairwise(widths))
        self.blocks = nn.ModuleList(Residual(widths[-1], norm) for _ in range(blocks))
        self.up = nn.ModuleList(UpBlock(i, o, norm, up) for i, o in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.last = Reflected(width, outputs, 7)
        self.places = (*range(DOUBLINGS + 1), *(DOUBLINGS + b for b in sorted({1, min(5, blocks)})))
        self.channels = (inputs, *widths[1:], *[widths[-1]] * (len(self.places) - DOUBLINGS - 1))
        exact = norm != "instance"
        self.geometry = Geometry(1, 2**DOUBLINGS, _halo(blocks, up) if exact else None)
        self._initialise(norm)

    def _initialise(self, norm: Norm) -> None:
        """N(0, 0.02) as published; without norm, variances are kept (He et al. 2015) and each block starts as its input."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                if norm == "none" and module is not self.last:
                    nn.init.kaiming_normal_(module.weight)
                else:
                    nn.init.normal_(module.weight, 0.0, 0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if norm == "none":
            for block in cast("Iterable[Residual]", self.blocks):
                nn.init.zeros_(block.conv2.weight)

    def _encode(self, image: Tensor) -> Iterator[Tensor]:
        """The picture, the map of each halving convolution before its norm, and the map after each block."""
        yield image
        x = torch.relu_(self.first_norm(self.first(image)))
        for down in cast("Iterable[Down]", self.down):
            convolved = down.conv(x)
            yield convolved
            x = down.finish(convolved)
        for block in self.blocks:
            x = block(x)
            yield x

    def features(self, image: Tensor) -> list[Tensor]:
        """Maps at the places that CUT compares, layers 0, 4, 8, 12 and 16 of its encoder; ``channels`` are their channels.

        The picture, the maps of the two halving convolutions, and the maps after block 1 and block 5 (or the last).
        """
        steps = itertools.islice(enumerate(self._encode(image)), self.places[-1] + 1)
        return [x for place, x in steps if place in self.places]

    def with_features(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The made pictures, and the `features` of the given ones from the same pass."""
        found, x = [], image
        for place, x in enumerate(self._encode(image)):
            if place in self.places:
                found.append(x)
        return self._decode(x), found

    def forward(self, image: Tensor) -> Tensor:
        """Pictures (n, outputs, H, W)."""
        (x,) = deque(self._encode(image), maxlen=1)  # one map at a time stays in memory
        return self._decode(x)

    def _decode(self, x: Tensor) -> Tensor:
        for up in self.up:
            x = up(x)
        return torch.tanh(self.last(x))


def _halo(blocks: int, up: Up) -> int:
    """How far the input pixels that a tile depends on lie outside the tile, whose sides are multiples of 4.

    Walks from the output pixels [low, high] of the smallest tile back to the input.
    """
    tile = 2**DOUBLINGS
    low, high = -3, tile - 1 + 3  # the last convolution
    for _ in range(DOUBLINGS):
        if up == "transposed":  # output 2i is made from i; 2i + 1 from i and i + 1
            low, high = low // 2, (high + 1) // 2
        else:
            low, high = (low - 1) // 2, (high + 1) // 2  # a 3x3 convolution of repeated pixels
        if up == "antialias":
            low, high = low - 1, high + 1
    low, high = low - 2 * blocks, high + 2 * blocks
    for _ in range(DOUBLINGS):
        low, high = 2 * low - 1, 2 * high + 1
        if up == "antialias":
            low, high = low - 1, high + 1
    return max(3 - low, high + 3 - (tile - 1))
