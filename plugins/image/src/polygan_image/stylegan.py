"""StyleGAN2 (Karras et al. 2020, arXiv:1912.04958) in plain torch, small by default, class-conditional where labels exist."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch

from polygan import Player, Turn, losses, ranged

from .base import Fakes, ImageGAN
from .game import Game
from .latent import StyleSampling, generate
from .networks.stylegan import Discriminator, Generator, check_size
from .settings import ImageConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from polygan import Batch, Context, Request, Samples, TrainerSettings


@dataclass(frozen=True, kw_only=True)
class Config(ImageConfig):
    """Settings of StyleGAN2. The defaults are the paper's, except for the size, about 4.5 + 4.7 million parameters at 64 pixels,
    and a term that keeps the pictures of a class apart."""

    latent_dim: int = ranged(256, "[1, inf)")
    """Numbers in a latent vector z (standard normal) and in w; 512 in the paper."""
    mapping_layers: int = ranged(2, "[1, inf)")
    """Layers between z and w; 8 in the paper, 2 for training with little data."""
    channel_base: int = ranged(4096, "[1, inf)")
    """Channels of a map are this number / its resolution; 32768 in the paper (16384 below 512 pixels)."""
    channel_max: int = ranged(256, "[1, inf)")
    """Most channels of a map; 512 in the paper."""
    group: int = ranged(4, "[1, inf)")
    """Most samples in a group of the minibatch standard deviation; 1: none."""
    noise: bool = True
    """Whether each layer adds noise of a learned strength; no suits flat pictures, such as drawings."""
    mixing: float = ranged(0.9, "[0, 1]", hint="0.9 is the paper's")
    """Share of fakes whose later layers take the styles of another latent."""
    gamma: float = ranged(0.0, "[0, inf)")
    """Weight of R1; 0: by the rule 0.0002 * resolution^2 / batch size; the start of the run shows the number."""
    r1_every: int = ranged(16, "[1, inf)")
    """Iterations between R1 penalties."""
    path_weight: float = ranged(0.0, "[0, inf)")
    """Weight of the path length penalty; 2 in the paper, 0: none."""
    path_every: int = ranged(4, "[1, inf)")
    """Iterations between path length penalties."""
    path_decay: float = ranged(0.01, "(0, 1]", hint="0.01 is the paper's")
    """How far the mean path length moves an update."""
    learning_rate: float = ranged(2.5e-3, "(0, 1]", usual="2.5e-3")
    """Learning rate of both networks, before the correction for lazy penalties."""
    beta1: float = ranged(0.0, "[0, 1)")
    """Decay of Adam's mean gradient."""
    beta2: float = ranged(0.99, "[0, 1)")
    """Decay of Adam's mean squared gradient."""
    ema_half_life: float = ranged(0.0, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: batch size * 10,000 / 32."""
    mode_seeking: float = ranged(0.1, "[0, inf)")
    """Weight of a term that keeps the pictures of a class apart (Mao et al. 2019); 0: none. Without classes the term does nothing."""


class StyleGAN(ImageGAN[Config]):
    """StyleGAN2: logistic game, lazy R1, optional path length, style mixing, adaptive augmentation by the data's size."""

    Config: ClassVar[type] = Config
    Sampling: ClassVar[type] = StyleSampling
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 20_000, "batch_size": 32}
    first_options = ("gamma", "augment")

    game = Game("minimax")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """As `ImageGAN`; raises `ConfigError` also for sizes other than 32, 64, 128 and 256 pixels squared."""
        self.resolution = check_size(info["height"], info["width"])
        super().__init__(config, info)
        self.latent_dim = config.latent_dim

    def gamma(self, training: TrainerSettings) -> float:
        """Weight of R1: the setting, or 0.0002 R^2 / batch size (Karras et al. 2020, "limited data", appendix C)."""
        return self.config.gamma or 0.0002 * self.resolution**2 / training.batch_size

    def notes(self, training: TrainerSettings) -> list[str]:
        """How gamma and the augmentation were chosen, and whether micro-batches are too small for the standard deviation."""
        rule = "" if self.config.gamma else ", by the rule 0.0002 * resolution^2 / batch size"
        advice = (
            "if samples break up or r_t stays above its target, try 4 times as much; if samples stay blurred, a quarter"
        )
        share, most = training.batch_size // training.accumulate, self.config.group
        small = f"no group of 2 to {most} fits micro-batches of {share} (of one process): without minibatch standard deviation"
        alone = most > 1 and all(share % g for g in range(2, most + 1))
        gamma = f"R1 has gamma = {self.gamma(training):.4g}{rule}; {advice}"
        return [*super().notes(training), *([small] if alone else []), gamma]

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator``; ``augmentation`` if it is adaptive."""
        c, classes = self.config, len(self.classes)
        size = {"channel_base": c.channel_base, "channel_max": c.channel_max, "classes": classes}
        depth = {"latent_dim": c.latent_dim, "mapping_layers": c.mapping_layers}
        return {
            "generator": Generator(self.shape[0], self.resolution, **depth, **size, noise=c.noise),
            "discriminator": Discriminator(self.shape[0], self.resolution, group=c.group, **size),
            **self._augmentation_network(),
        }

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for both, corrected for lazy penalties; the generator is averaged."""
        c, generator, discriminator = self.config, networks["generator"], networks["discriminator"]
        g, d = self._adam(generator, c.path_every if c.path_weight else 0), self._adam(discriminator, c.r1_every)
        half_life = c.ema_half_life or training.batch_size * 10_000 / 32
        return {
            "generator": Player(generator, g, ema_half_life=half_life),
            "discriminator": Player(discriminator, d),
        }

    def _adam(self, module: nn.Module, every: int) -> torch.optim.Adam:
        """Adam corrected for the steps that a penalty every so many iterations adds (StyleGAN2, appendix B)."""
        c = self.config
        ratio = every / (every + 1) if every else 1.0
        betas = (float(c.beta1**ratio) if c.beta1 else 0.0, float(c.beta2**ratio))
        return torch.optim.Adam(module.parameters(), c.learning_rate * ratio, betas=betas, eps=1e-8)

    def intermediate(self, networks: Mapping[str, nn.Module]) -> nn.Module:
        """The mapping network, whose output w (n, latent_dim) pictures are synthesised from. Pages move pictures along directions of w."""
        return cast("Generator", networks["generator"]).mapping

    # The method

    def turns(self) -> list[Turn]:
        """``d``, ``r1`` now and then, ``g``, ``path`` now and then, ``ada``."""
        c = self.config
        path = [Turn("path", ("generator",), self.path_length, every=c.path_every, differentiates_twice=True)]
        return [
            Turn("d", ("discriminator",), self.discriminator_loss),
            Turn("r1", ("discriminator",), self.r1, every=c.r1_every, differentiates_twice=True),
            Turn("g", ("generator",), self.generator_loss),
            *(path if c.path_weight else []),
            *self._augmentation_turn(),
        ]

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """-log s(D(x)) - log(1 - s(D(G(z))))."""
        critic = self._critic(ctx, batch)
        real = critic(batch["image"])
        return self._played(ctx, real, critic(self._detached_fakes(ctx, batch)))

    def r1(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """gamma/2 |grad D(x)|^2 times the iterations between two penalties (StyleGAN2, section 3.1)."""
        real = batch["image"].detach().requires_grad_()
        gamma = self.gamma(ctx.training) * self.config.r1_every
        return {"penalty": losses.r1(self._critic(ctx, batch)(real), real, gamma)}

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """-log s(D(G(z)))."""
        fakes = self._shown_fakes(ctx, batch)
        return self.game.generator(self._critic(ctx, fakes.batch)(fakes.images)) | self._mode_seeking(fakes)

    def path_length(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """(|J_w^T y| - a)^2 for y of unit expected length a pixel, a the running mean (StyleGAN2, eq. 4), on half the batch."""
        generator = cast("Generator", ctx["generator"])
        label = self._label(batch)
        inputs = self._inputs(ctx, len(batch["image"][::2]))
        second, crossover = inputs["second"], inputs["crossover"]
        styles = generator.styles(inputs["latent"], None if label is None else label[::2], second, crossover)
        lengths = path_lengths(generator.synthesise(styles, inputs["noise"]), styles, ctx.noise.normal)
        mean = generator.path_mean.clone()
        generator.path_mean.lerp_(lengths.detach().mean(), self.config.path_decay)
        ctx.observe("mean", generator.path_mean)
        weight = self.config.path_weight * self.config.path_every
        return {"penalty": (lengths - mean).square().mean() * weight}

    def _inputs(self, ctx: Context, n: int) -> dict[str, Any]:
        """Random arguments of the generator for ``n`` fakes; a share of ``mixing`` crosses over at a uniform layer."""
        generator = cast("Generator", ctx["generator"])
        dim, count = self.config.latent_dim, generator.style_count
        u = ctx.noise.uniform(n, 2)
        crossover = torch.where(u[:, 0] < self.config.mixing, 1 + (u[:, 1] * (count - 1)).long(), count)
        return {
            "latent": ctx.noise.normal(n, dim),
            "noise": [ctx.noise.normal(n, 1, size, size) for size in generator.noise_sizes],
            "second": ctx.noise.normal(n, dim) if self.config.mixing else None,
            "crossover": crossover,
        }

    def _fakes(self, ctx: Context, batch: Batch) -> Fakes:
        inputs = self._inputs(ctx, len(batch["image"]))
        return Fakes(ctx["generator"](**inputs, label=self._label(batch)), inputs["latent"], batch)

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """``request.n`` pictures (n, C, R, R) float32 in [-1, 1], by the options `StyleSampling`."""
        generator = cast("Generator", networks["generator"])
        return generate(generator, request, self.classes, self.facts.get("class_counts"), self.info)


def path_lengths(images: Tensor, styles: Tensor, normal: Callable[..., Tensor]) -> Tensor:
    """|J^T y| (n,) of pictures (n, C, H, W) made from styles (n, L, d), with graph; ``normal(n, ...)`` draws y.

    y has the variance 1 / (H W), so that the length does not depend on the resolution. The result is the root mean square over layers.
    """
    n, _, height, width = images.shape
    y = normal(n, *images.shape[1:]) / math.sqrt(height * width)
    (gradient,) = torch.autograd.grad((images * y).sum(), styles, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()
