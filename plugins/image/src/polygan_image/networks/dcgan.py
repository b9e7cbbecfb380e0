"""The two networks of DCGAN (Radford et al. 2015) for every size that doublings of 4 to 7 reach."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from polygan import ConfigError, losses

BASES, MOST_DOUBLINGS = (4, 5, 6, 7), 11  # from 8 to 14,336 pixels


def strides(height: int, width: int, recipe: str = "image/dcgan") -> int:
    """How many doublings (>= 1) lead from 4, 5, 6 or 7 to both sides. The `ConfigError` names ``recipe`` and sizes that work."""
    for k in range(1, MOST_DOUBLINGS + 1):
        if all(side % 2**k == 0 and side >> k in BASES for side in (height, width)):
            return k
    reached = [base << k for k in range(1, MOST_DOUBLINGS + 1) for base in BASES]
    near = {max((r for r in reached if r <= s), default=reached[0]) for s in (height, width)}
    near |= {min((r for r in reached if r >= s), default=reached[-1]) for s in (height, width)}
    best = min(near, key=lambda r: (abs(r - max(height, width)), r))
    raise ConfigError(
        f"{recipe} cannot make {width}x{height} pixels: both sides must be 4, 5, 6 or 7 "
        f"doubled equally often; try {', '.join(map(str, sorted(near)))}: --data.resolution {best}{_or_oblong(height, width)}"
    )


def _or_oblong(height: int, width: int) -> str:
    """The nearest size with two different sides as a further remedy; empty for squares."""
    if height == width:
        return ""
    sizes = [(h << k, w << k) for k in range(1, MOST_DOUBLINGS + 1) for h in BASES for w in BASES]
    tall, wide = min(sizes, key=lambda s: (abs(math.log(s[0] / height)) + abs(math.log(s[1] / width)), s))
    return f", or {wide}x{tall} for width x height" if tall != wide else ""


def initialise(module: nn.Module) -> None:
    """Weights N(0, 0.02), batch norm's scale N(1, 0.02), biases 0 (Radford et al. 2015, section 4)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    if isinstance(getattr(module, "bias", None), Tensor):
        nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]


class Generator(nn.Module):
    """Latents (n, latent_dim), and labels (n,) if ``classes``, to pictures (n, C, H, W) in [-1, 1].

    A linear layer to the smallest map, then 4x4 transposed convolutions of stride 2, each after batch norm
    and ReLU.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        filters: int = 64,
        latent_dim: int = 100,
        *,
        classes: int = 0,
        embedding_dim: int = 50,
    ) -> None:
        super().__init__()
        k = strides(height, width)
        widths = [filters * min(2**i, 8) for i in reversed(range(k))]
        self.base = (height >> k, width >> k, widths[0])
        self.embedding = nn.Embedding(classes, embedding_dim) if classes else None
        inputs = latent_dim + (embedding_dim if classes else 0)
        self.project = nn.Linear(inputs, math.prod(self.base), bias=False)
        layers: list[nn.Module] = []
        for i, o in zip(widths, [*widths[1:], channels], strict=True):
            layers += [nn.BatchNorm2d(i), nn.ReLU(True), nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False)]
        self.upsample = nn.Sequential(*layers, nn.Tanh())
        self.apply(initialise)
        if self.embedding is not None:
            # A tenth of the latent's power: at half the power the generator follows the class alone: one picture a class.
            nn.init.normal_(self.embedding.weight, 0.0, math.sqrt(latent_dim / (10 * embedding_dim)))

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Pictures (n, channels, height, width)."""
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(label)], 1)
        # (n, b_h * b_w * c) -> (n, c, b_h, b_w), which is already channels_last
        return self.upsample(self.project(latent).unflatten(1, self.base).permute(0, 3, 1, 2))


class Discriminator(nn.Module):
    """Pictures (n, channels, height, width), and labels (n,) if ``classes``, to logits (n,).

    Mirrors the generator, with LeakyReLU 0.2 and no norm in the first layer. With classes the logit is
    (w + v_y).h for the last map h: the projection discriminator (Miyato & Koyama 2018) with the flattened map
    as its features.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        filters: int = 64,
        *,
        classes: int = 0,
        batch_norm: bool = True,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        k = strides(height, width)
        widths = [filters * min(2**i, 8) for i in range(k)]
        layers: list[nn.Module] = []
        for n, (i, o) in enumerate(zip([channels, *widths], widths, strict=False)):
            norm = [nn.BatchNorm2d(o)] if batch_norm and n else []
            layers += [nn.Conv2d(i, o, 4, 2, 1, bias=not batch_norm), *norm, nn.LeakyReLU(0.2, True)]
        self.downsample = nn.Sequential(*layers, nn.Flatten())
        features = widths[-1] * (height >> k) * (width >> k)
        self.logit = nn.Linear(features, 1, bias=not batch_norm)
        self.embedding = nn.Embedding(classes, features) if classes else None
        self.apply(initialise)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0.0, 0.02)
        if spectral_norm:
            losses.spectral_norm(self)

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """Logits (n,)."""
        h = self.downsample(image)
        logits = self.logit(h).squeeze(1)
        return logits if self.embedding is None else logits + (self.embedding(label) * h).sum(1)
