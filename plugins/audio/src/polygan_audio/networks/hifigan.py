"""HiFi-GAN's generator (Kong et al. 2020, section 2.2). Parameters have the names of the official code."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError

from .convolutions import Conv1d, ConvTranspose1d, full_precision, weight_norm, wide
from .frontend import FrontEnd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .melspec import MelSpec

SLOPE = 0.1


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the paper's appendix A.1 lists for a variant."""

    channels: int
    """Of the first layer; each upsampling halves them."""
    rates: tuple[int, ...]
    """Of the upsamplings; their product is the hop length."""
    kernels: tuple[int, ...]
    """Sizes of the transposed convolutions; kernel - rate is even."""
    block: int
    """1: pairs of convolutions, 2: single ones."""
    sizes: tuple[int, ...]
    """Kernel sizes of the residual blocks that are averaged after each upsampling."""
    dilations: tuple[tuple[int, ...], ...]
    """Of each of those blocks."""

    def __post_init__(self) -> None:
        if len(self.rates) != len(self.kernels):
            raise ConfigError(
                f"hifigan: {len(self.rates)} upsampling rates {self.rates} and {len(self.kernels)} kernel sizes {self.kernels}; "
                "give one kernel for each rate"
            )
        for rate, kernel in zip(self.rates, self.kernels, strict=True):
            if rate < 1 or kernel < rate or (kernel - rate) % 2:
                raise ConfigError(
                    f"hifigan: an upsampling by {rate} with kernel {kernel} does not give {rate} samples for one: the kernel must "
                    f"be {rate} or more by an even number"
                )
        if self.channels % 2 ** len(self.rates) or self.channels < 1:
            raise ConfigError(
                f"hifigan: {self.channels} channels cannot be halved {len(self.rates)} times; use a multiple of "
                f"{2 ** len(self.rates)}"
            )


HOP = 256
"""Samples of a hop in the paper."""
_DENSE = ((1, 3, 5),) * 3
VARIANTS = {
    "v1": Shape(channels=512, rates=(8, 8, 2, 2), kernels=(16, 16, 4, 4), block=1, sizes=(3, 7, 11), dilations=_DENSE),
    "v2": Shape(channels=128, rates=(8, 8, 2, 2), kernels=(16, 16, 4, 4), block=1, sizes=(3, 7, 11), dilations=_DENSE),
    "v3": Shape(
        channels=256,
        rates=(8, 8, 4),
        kernels=(16, 16, 8),
        block=2,
        sizes=(3, 5, 7),
        dilations=((1, 2), (2, 6), (3, 12)),
    ),
}


def rates_for(hop: int, stages: int) -> tuple[int, ...]:
    """``stages`` upsampling rates with product ``hop``, large ones first and as even as its factors allow.

    256 gives the paper's (8, 8, 2, 2) and (8, 8, 4) by way of `VARIANTS`; 300 in 4 stages (5, 5, 4, 3), 200 (5, 5, 4, 2).
    """
    factors, rest = [], hop
    for p in range(2, hop + 1):
        while rest % p == 0:
            factors.append(p)
            rest //= p
    rates = [1] * stages
    for f in sorted(factors, reverse=True):
        rates[rates.index(min(rates))] *= f
    return tuple(sorted(rates, reverse=True))


def kernels_for(rates: Sequence[int]) -> tuple[int, ...]:
    """Twice the rate as in the paper, one more for odd rates."""
    return tuple(2 * r + r % 2 for r in rates)


class ResBlock1(nn.Module):
    """Pairs of a dilated and a plain convolution, each pair with a skip connection (V1, V2).

    What a convolution returns is changed in place, as no gradient needs it: less memory to fill.
    """

    def __init__(self, channels: int, size: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(Conv1d(channels, channels, size, dilation=d) for d in dilations)
        self.convs2 = nn.ModuleList(Conv1d(channels, channels, size) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """The layout and shape of ``x``."""
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            x = plain(F.leaky_relu(dilated(F.leaky_relu(x, SLOPE)), SLOPE, inplace=True)).add_(x)
        return x


class ResBlock2(nn.Module):
    """Dilated convolutions, each with a skip connection (V3)."""

    def __init__(self, channels: int, size: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Conv1d(channels, channels, size, dilation=d) for d in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """The layout and shape of ``x``."""
        for dilated in self.convs:
            x = dilated(F.leaky_relu(x, SLOPE)).add_(x)
        return x


class Generator(FrontEnd):
    """Log-mel (B, n_mels, F) to waveform (B, F * hop_length) in [-1, 1].

    With ``normalised``, the mel is normalised by the buffers ``mean`` and ``scale`` (n_mels,) first.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Shape, mel: MelSpec, *, normalised: bool = False) -> None:
        super().__init__(mel)
        self.normalised = normalised
        if normalised:
            self.register_buffer("mean", torch.zeros(mel.n_mels))
            self.register_buffer("scale", torch.ones(mel.n_mels))
        if math.prod(shape.rates) != mel.hop_length:
            raise ConfigError(
                f"hifigan: the upsampling rates {' x '.join(map(str, shape.rates))} = {math.prod(shape.rates)} do not give the "
                f"{mel.hop_length} samples of a hop; change the rates or the hop length"
            )
        kind = {1: ResBlock1, 2: ResBlock2}[shape.block]
        widths = [shape.channels >> i for i in range(len(shape.rates) + 1)]
        self.shape = shape
        self.conv_pre = Conv1d(mel.n_mels, widths[0], 7)
        self.ups = nn.ModuleList(
            ConvTranspose1d(a, b, k, r)
            for a, b, k, r in zip(widths, widths[1:], shape.kernels, shape.rates, strict=False)
        )
        self.resblocks = nn.ModuleList(
            kind(width, size, d) for width in widths[1:] for size, d in zip(shape.sizes, shape.dilations, strict=True)
        )
        self.conv_post = Conv1d(widths[-1], 1, 7)
        for module in self.modules():
            if isinstance(module, (Conv1d, ConvTranspose1d)):
                # From torch's own initial values, as the official code's networks: its normal ones come after weight norm, whose
                # direction and length they do not reach.
                weight_norm(module)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to (B, F * hop_length)."""
        if self.normalised:
            mel = (mel.to(self.mean.dtype) - self.mean[:, None]) / self.scale[:, None]
        x = self.conv_pre(self.layout(mel.to(self.conv_post.weight.dtype)))
        branches = len(self.shape.sizes)
        for i, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, SLOPE))
            blocks = self.resblocks[i * branches : (i + 1) * branches]
            total = blocks[0](x)
            for block in blocks[1:]:
                total.add_(block(x))
            x = total.div_(branches)
        with full_precision(x.device):  # a waveform needs more than the 8 bits of bf16
            x = F.leaky_relu(x.to(self.conv_post.weight.dtype))  # the official code has the default slope of 0.01 here
            return torch.tanh(wide(self.conv_post(x))).flatten(1)

    def context(self) -> int:
        """Frames on each side of a frame that its samples depend on."""
        reach = (self.conv_post.kernel_size[0] - 1) // 2  # in samples of the present stage
        for rate, kernel in reversed(list(zip(self.shape.rates, self.shape.kernels, strict=True))):
            reach += max(
                sum((s - 1) // 2 * (d + (1 if self.shape.block == 1 else 0)) for d in ds)
                for s, ds in zip(self.shape.sizes, self.shape.dilations, strict=True)
            )
            # Sample t of the output meets inputs i with 0 <= t + padding - i * rate < kernel. A frame's outputs are
            # i * rate .. i * rate + rate - 1, widened by ``reach`` on both sides.
            padding = (kernel - rate) // 2
            before = (kernel - 1 - padding + reach) // rate
            after = (rate - 1 + reach + padding) // rate
            reach = max(before, after)
        return reach + (self.conv_pre.kernel_size[0] - 1) // 2
