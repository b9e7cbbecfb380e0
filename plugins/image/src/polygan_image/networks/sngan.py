"""The residual networks of spectral normalisation (Miyato et al. 2018, appendix B) for every size that doublings of 4 to 7 reach."""

from __future__ import annotations

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from polygan import losses

from .dcgan import strides


def widths(count: int, filters: int) -> list[int]:
    """Channels from the finest of ``count`` maps to the coarsest: ``filters``, twice, then 4 times as many."""
    return [filters * min(2**i, 4) for i in range(count)]


def _convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(layer.weight, math.sqrt(2) if kernel > 1 else 1.0)
    nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    return layer


class ClassNorm(nn.Module):
    """Batch norm of (n, C, H, W) whose scale and shift depend on the label (n,), if there are ``classes``."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=not classes)
        self.table = nn.Embedding(classes, 2 * channels) if classes else None
        if self.table is not None:
            nn.init.zeros_(self.table.weight)

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        x = self.norm(x)
        if self.table is None or label is None:
            return x
        scale, shift = self.table(label)[:, :, None, None].chunk(2, 1)
        return x * (1 + scale) + shift


class UpBlock(nn.Module):
    """(n, C, H, W) to (n, C', 2H, 2W), each pixel repeated."""

    def __init__(self, inputs: int, outputs: int, classes: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ClassNorm(c, classes) for c in (inputs, outputs))
        self.first, self.second = _convolution(inputs, outputs), _convolution(outputs, outputs)
        self.skip = _convolution(inputs, outputs, 1)

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        y = F.interpolate(F.relu(self.norms[0](x, label)), scale_factor=2)
        y = self.second(F.relu(self.norms[1](self.first(y), label)))
        return y + F.interpolate(self.skip(x), scale_factor=2)


class DownBlock(nn.Module):
    """(n, C, H, W) to (n, C', H, W), or halved by averages; ``first``: the input is pictures, which need no ReLU."""

    def __init__(self, inputs: int, outputs: int, *, down: bool, first: bool = False) -> None:
        super().__init__()
        self.first, self.second = _convolution(inputs, outputs), _convolution(outputs, outputs)
        self.skip = _convolution(inputs, outputs, 1) if down or inputs != outputs else None
        self.down, self.is_first = down, first

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(x if self.is_first else F.relu(x))))
        if self.down:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        return y + (x if self.skip is None else self.skip(x))


class Generator(nn.Module):
    """Latents (n, latent_dim), and labels (n,) if ``classes``, to pictures (n, C, H, W) in [-1, 1]."""

    def __init__(
        self, channels: int, height: int, width: int, filters: int = 64, latent_dim: int = 128, *, classes: int = 0
    ) -> None:
        super().__init__()
        k = strides(height, width, "image/sngan")
        sizes = widths(k + 1, filters)[::-1]
        self.base = (sizes[0], height >> k, width >> k)
        self.project = nn.Linear(latent_dim, math.prod(self.base))
        self.blocks = nn.ModuleList(UpBlock(i, o, classes) for i, o in pairwise(sizes))
        self.norm = ClassNorm(sizes[-1], 0)
        self.image = _convolution(sizes[-1], channels)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Pictures (n, channels, height, width)."""
        x = self.project(latent).unflatten(1, self.base)  # (n, C, h, w)
        for block in self.blocks:
            x = block(x, label)
        return self.image(F.relu(self.norm(x, None))).tanh()


class Discriminator(nn.Module):
    """Pictures (n, channels, height, width), and labels (n,) if ``classes``, to logits (n,), with spectral norm throughout.

    Blocks that halve down to twice the smallest map, two blocks that keep the size, a sum over the map; classes by projection
    (Miyato & Koyama 2018).
    """

    def __init__(self, channels: int, height: int, width: int, filters: int = 64, *, classes: int = 0) -> None:
        super().__init__()
        k = strides(height, width, "image/sngan")
        halvings = max(1, k - 1)
        sizes = [channels, *widths(halvings, filters)]
        down = [DownBlock(i, o, down=True, first=n == 0) for n, (i, o) in enumerate(pairwise(sizes))]
        keep = [DownBlock(sizes[-1], sizes[-1], down=False) for _ in range(2)]
        self.blocks = nn.Sequential(*down, *keep, nn.ReLU())
        self.logit = nn.Linear(sizes[-1], 1)
        self.embedding = nn.Embedding(classes, sizes[-1]) if classes else None
        nn.init.xavier_uniform_(self.logit.weight)
        if self.embedding is not None:
            nn.init.xavier_uniform_(self.embedding.weight)
        losses.spectral_norm(self)

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """Logits (n,)."""
        h = self.blocks(image).sum((2, 3))
        logits = self.logit(h).squeeze(1)
        return logits if self.embedding is None else logits + (self.embedding(label) * h).sum(1)
