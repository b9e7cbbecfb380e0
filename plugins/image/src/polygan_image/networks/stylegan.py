"""The networks of StyleGAN2 (Karras et al. 2020, arXiv:1912.04958, figures 2 and 7): skip generator, residual discriminator."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from polygan import ConfigError

from .layers import (
    GAIN,
    SLOPE,
    EqualConv,
    EqualLinear,
    MinibatchStd,
    ModulatedConv,
    Resample,
    SynthesisLayer,
    normalise,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES = (32, 64, 128, 256)
MEAN_DECAY = 0.998  # of the mean latent, per update
_MAPPING_RATE = 0.01  # of the learning rate


def check_size(height: int, width: int) -> int:
    """The resolution. `ConfigError` for pictures that are not square with 32, 64, 128 or 256 pixels a side."""
    if height != width or height not in SIZES:
        best = min(SIZES, key=lambda s: (abs(math.log(s / max(height, width))), -s))
        raise ConfigError(
            f"image/stylegan cannot make {width}x{height} pixels, only squares of {', '.join(map(str, SIZES))}; "
            f"try --data.resolution {best}"
        )
    return height


def channels_at(resolution: int, base: int, most: int) -> dict[int, int]:
    """Channels of the maps by their resolution: ``base`` / resolution, at most ``most``, at least 1."""
    sizes = [2**k for k in range(2, int(math.log2(resolution)) + 1)]
    return {size: max(1, min(base // size, most)) for size in sizes}


class Embedding(nn.Module):
    """Classes (n,) to vectors (n, dim) of unit mean square."""

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Embedding(classes, dim)

    def forward(self, label: Tensor) -> Tensor:
        return normalise(self.table(label))


class Mapping(nn.Module):
    """Latents (n, latent_dim), and labels (n,) if ``classes``, to intermediate latents w (n, latent_dim)."""

    def __init__(self, latent_dim: int, layers: int, classes: int) -> None:
        super().__init__()
        self.embedding = Embedding(classes, latent_dim) if classes else None
        widths = [latent_dim * (2 if classes else 1), *[latent_dim] * layers]
        self.layers = nn.ModuleList(EqualLinear(i, o, rate=_MAPPING_RATE, gain=GAIN) for i, o in pairwise(widths))

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        x = normalise(latent)
        if self.embedding is not None and label is not None:
            x = torch.cat([x, self.embedding(label)], 1)
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), SLOPE)
        return x


class Generator(nn.Module):
    """Latents to pictures (n, C, R, R), about in [-1, 1], by `styles` and `synthesise`.

    ``mean_latent`` (latent_dim,) follows w, ``path_mean`` the path length; both are buffers. Without ``noise`` no layer adds noise,
    and ``noise_sizes`` is empty.
    """

    mean_latent: Tensor
    path_mean: Tensor

    def __init__(
        self,
        channels: int,
        resolution: int,
        *,
        latent_dim: int = 256,
        mapping_layers: int = 2,
        channel_base: int = 4096,
        channel_max: int = 256,
        classes: int = 0,
        noise: bool = True,
    ) -> None:
        super().__init__()
        widths = channels_at(resolution, channel_base, channel_max)
        self.resolution = resolution
        self.mapping = Mapping(latent_dim, mapping_layers, classes)
        self.constant = nn.Parameter(torch.randn(1, widths[4], 4, 4))
        layers, to_image, before = [], [], widths[4]
        for size, width in widths.items():
            if size > 4:
                layers.append(SynthesisLayer(before, width, latent_dim, up=True, noise=noise))
            layers.append(SynthesisLayer(width, width, latent_dim, noise=noise))
            to_image.append(ModulatedConv(width, channels, 1, latent_dim, demodulate=False))
            before = width
        self.layers, self.to_image = nn.ModuleList(layers), nn.ModuleList(to_image)
        self.noise_sizes = [size for size in widths for _ in range(1 if size == 4 else 2)] if noise else []
        self.image_bias = nn.Parameter(torch.zeros(len(to_image), channels))
        self.upsample = Resample("up")
        self.register_buffer("mean_latent", torch.zeros(latent_dim))
        self.register_buffer("path_mean", torch.zeros(()))

    @property
    def style_count(self) -> int:
        """L, the number of layers with a style: 2 log2(R) - 2."""
        return len(self.layers) + 1

    def styles(
        self,
        latent: Tensor,
        label: Tensor | None = None,
        second: Tensor | None = None,
        crossover: Tensor | None = None,
    ) -> Tensor:
        """Styles (n, L, latent_dim) of latents (n, latent_dim); layers from ``crossover`` (n,) on take the styles of ``second``.

        In training mode the mean latent moves.
        """
        w = self.mapping(latent, label)
        if self.training:
            with torch.no_grad():
                self.mean_latent.lerp_(w.detach().mean(0).to(self.mean_latent.dtype), 1 - MEAN_DECAY)
        styles = w[:, None].expand(-1, self.style_count, -1)
        if second is None or crossover is None:
            return styles
        first = torch.arange(self.style_count, device=w.device)[None, :, None] < crossover[:, None, None]
        return torch.where(first, styles, self.mapping(second, label)[:, None])

    def synthesise(self, styles: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Pictures of styles (n, L, latent_dim); ``noise``: a map (n or 1, 1, r, r) for each of ``noise_sizes``."""
        maps = noise or [None] * len(self.layers)
        x = self.constant.expand(styles.shape[0], -1, -1, -1)
        x = self.layers[0](x, styles[:, 0], maps[0])
        image = self.to_image[0](x, styles[:, 1], self.image_bias[0])
        for i in range(1, len(self.to_image)):
            for k in (2 * i - 1, 2 * i):
                x = self.layers[k](x, styles[:, k], maps[k])
            image = self.upsample(image) + self.to_image[i](x, styles[:, 2 * i + 1], self.image_bias[i])
        return image

    def forward(
        self,
        latent: Tensor,
        noise: Sequence[Tensor],
        label: Tensor | None = None,
        second: Tensor | None = None,
        crossover: Tensor | None = None,
    ) -> Tensor:
        """Pictures (n, C, R, R); for the arguments see `styles` and `synthesise`."""
        return self.synthesise(self.styles(latent, label, second, crossover), noise)


class Block(nn.Module):
    """A residual block of the discriminator that halves the size: (n, C, H, W) to (n, C', H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = math.sqrt(0.5)  # the gain of each summand, so that the sum keeps the variance
        self.first = EqualConv(inputs, inputs, 3)
        self.second = EqualConv(inputs, outputs, 3, down=True, gain=half)
        self.skip = EqualConv(inputs, outputs, 1, down=True, activate=False, gain=half)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.second(self.first(x))


class Discriminator(nn.Module):
    """Pictures (n, C, R, R), and labels (n,) if ``classes``, to logits (n,); classes by projection (Miyato & Koyama 2018)."""

    def __init__(
        self,
        channels: int,
        resolution: int,
        *,
        channel_base: int = 4096,
        channel_max: int = 256,
        group: int = 4,
        classes: int = 0,
    ) -> None:
        super().__init__()
        widths = channels_at(resolution, channel_base, channel_max)
        sizes = list(reversed(widths))
        top, last = widths[resolution], widths[4]
        self.blocks = nn.Sequential(
            EqualConv(channels, top, 1),
            *(Block(widths[a], widths[b]) for a, b in pairwise(sizes)),
            MinibatchStd(group),
            EqualConv(last + 1, last, 3),
        )
        self.hidden = EqualLinear(last * 16, last, gain=GAIN)
        self.embedding = Embedding(classes, last) if classes else None
        self.logit = EqualLinear(last, last if classes else 1)

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """Logits (n,)."""
        h = nn.functional.leaky_relu(self.hidden(self.blocks(image).flatten(1)), SLOPE)
        h = self.logit(h)
        if self.embedding is None or label is None:
            return h.squeeze(1)
        return (h * self.embedding(label)).sum(1) / math.sqrt(h.shape[1])
