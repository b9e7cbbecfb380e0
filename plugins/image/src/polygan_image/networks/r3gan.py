"""The networks of R3GAN (Huang et al. 2024, section 4): residual, grouped convolutions, no normalisation, careful initial weights."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .dcgan import strides
from .layers import SLOPE, Resample
from .sngan import widths

_GAIN = math.sqrt(2 / (1 + SLOPE**2))  # makes up for the second moment that leaky ReLU takes
EMBEDDING = 64


def _weights(layer: nn.Conv2d | nn.Linear, gain: float) -> nn.Conv2d | nn.Linear:
    """Initial weights N(0, gain^2 / inputs), no bias."""
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(layer.weight[0].numel()))
    return layer


def convolution(inputs: int, outputs: int, kernel: int, *, group: int = 0, gain: float = 1.0) -> nn.Conv2d:
    """A convolution without bias that keeps the size; ``group``: input channels that an output sees, 0: all."""
    groups = max(1, inputs // group) if group else 1
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    _weights(layer, gain)
    return layer


class Activation(nn.Module):
    """Bias and leaky ReLU of (n, channels, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias[None, :, None, None].to(x.dtype), SLOPE)


class Residual(nn.Module):
    """x plus an inverted bottleneck: 1x1 to twice the channels, 3x3 in groups, 1x1 back, which starts at 0.

    The first two layers start smaller by ``blocks`` to the power -1/4: Fixup for branches of three layers (Zhang et al. 2019).
    """

    def __init__(self, channels: int, group: int, blocks: int) -> None:
        super().__init__()
        wide, gain = 2 * channels, _GAIN * blocks**-0.25
        self.branch = nn.Sequential(
            convolution(channels, wide, 1, gain=gain),
            Activation(wide),
            convolution(wide, wide, 3, group=math.gcd(group, wide), gain=gain),
            Activation(wide),
            convolution(wide, channels, 1, gain=0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def stage(channels: int, group: int, depth: int, blocks: int) -> list[nn.Module]:
    """``depth`` residual blocks of one resolution, of ``blocks`` in the whole network."""
    return [Residual(channels, group, blocks) for _ in range(depth)]


class Generator(nn.Module):
    """Latents (n, latent_dim), and labels (n,) if ``classes``, to pictures (n, C, H, W), about in [-1, 1].

    A learned map, its channels scaled by the latent, then residual stages with FIR upsampling between them.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        filters: int = 64,
        latent_dim: int = 64,
        *,
        depth: int = 2,
        group: int = 16,
        classes: int = 0,
    ) -> None:
        super().__init__()
        k = strides(height, width, "image/r3gan")
        sizes = widths(k + 1, filters)[::-1]
        self.embedding = nn.Embedding(classes, EMBEDDING) if classes else None
        inputs = latent_dim + (EMBEDDING if classes else 0)
        self.scale = _weights(nn.Linear(inputs, sizes[0], bias=False), 1.0)
        self.basis = nn.Parameter(torch.randn(sizes[0], height >> k, width >> k))
        blocks = depth * len(sizes)
        layers = stage(sizes[0], group, depth, blocks)
        for i, o in pairwise(sizes):
            # The 1x1 convolution and the filter commute: the convolution is cheaper before the picture grows.
            layers += [*([convolution(i, o, 1)] if i != o else []), Resample("up"), *stage(o, group, depth, blocks)]
        self.layers = nn.Sequential(*layers, convolution(sizes[-1], channels, 1))

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Pictures (n, channels, height, width)."""
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(label)], 1)
        return self.layers(self.basis * self.scale(latent)[:, :, None, None])


class Discriminator(nn.Module):
    """Pictures (n, channels, height, width), and labels (n,) if ``classes``, to logits (n,): the generator mirrored."""

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        filters: int = 64,
        *,
        depth: int = 2,
        group: int = 16,
        classes: int = 0,
    ) -> None:
        super().__init__()
        k = strides(height, width, "image/r3gan")
        sizes = widths(k + 1, filters)
        blocks = depth * len(sizes)
        layers: list[nn.Module] = [convolution(channels, sizes[0], 1), *stage(sizes[0], group, depth, blocks)]
        for i, o in pairwise(sizes):
            layers += [Resample("down"), *([convolution(i, o, 1)] if i != o else []), *stage(o, group, depth, blocks)]
        self.layers = nn.Sequential(*layers)
        area = (height >> k) * (width >> k)
        self.basis = nn.Parameter(torch.randn(sizes[-1], height >> k, width >> k) / math.sqrt(area))
        self.logit = _weights(nn.Linear(sizes[-1], EMBEDDING if classes else 1, bias=False), 1.0)
        self.embedding = nn.Embedding(classes, EMBEDDING) if classes else None

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """Logits (n,)."""
        h = self.logit((self.layers(image) * self.basis).sum((2, 3)))
        if self.embedding is None:
            return h.squeeze(1)
        return (h * self.embedding(label)).sum(1) / math.sqrt(EMBEDDING)
