"""Deep convolutional GAN (Radford et al. 2015, arXiv:1511.06434), class-conditional where labels exist."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from polygan import ConfigError, Context, Player, Recipe, Samples, Turn, in_chunks, losses
from polygan.errors import did_you_mean

from .dcgan_networks import Discriminator, Generator, strides
from .sampling import Sampling, arrange, latents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from polygan import Batch, Noise

PENALTY_WEIGHT = 10.0  # of R1 (Mescheder 2018), WGAN-GP (Gulrajani 2017) and DRAGAN (Kodali 2017) alike
STATISTICS_EVERY = 4
PREVIEW_ROWS, PREVIEW_COLUMNS = 12, 8


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is trained. The defaults are the paper's; ``penalty``, ``loss`` and the rest combine freely."""

    latent_dim: int = 100
    """Numbers in a latent vector (standard normal), >= 1."""
    generator_width: int = 64
    """Channels of the generator's last hidden layer, >= 1; deeper ones have 2, 4, at most 8 times as many."""
    discriminator_width: int = 64
    """Channels of the discriminator's first layer, >= 1; deeper ones have 2, 4, at most 8 times as many."""
    conditional: Literal["auto", "yes", "no"] = "auto"
    """Whether classes are told to both networks; auto: if the data has two or more."""
    embedding_dim: int = 50
    """Numbers that stand for a class beside the latent vector of a conditional generator, >= 1."""
    loss: Literal["minimax", "saturating", "least_squares", "hinge", "wasserstein", "relativistic"] = "minimax"
    """The game (`polygan.losses.ADVERSARIAL`); minimax is the non-saturating one of the paper."""
    penalty: Literal["none", "r1", "r2", "r1r2", "wgan_gp", "dragan"] = "none"
    """Gradient penalty on the discriminator."""
    penalty_weight: float = 0.0
    """Weight of the penalty, >= 0: gamma of r1 and r2, lambda of the others; 0: 10, as in their papers."""
    penalty_every: int = 1
    """Iterations between penalties, >= 1; above 1 a turn of its own with that many times the weight."""
    critic_steps: int = 1
    """Discriminator steps an iteration, >= 1; 5 is usual for wasserstein."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    """Of both networks; rmsprop is the one of the clipped wasserstein game."""
    learning_rate: float = 2e-4
    """Of the generator, and of the discriminator unless it has its own, (0, 1]."""
    discriminator_learning_rate: float = 0.0
    """Of the discriminator, [0, 1]; 0: that of the generator."""
    beta1: float = 0.5
    """Decay of the mean gradient in adam, [0, 1); rmsprop has none."""
    beta2: float = 0.999
    """Decay of the mean squared gradient in adam and rmsprop, [0, 1)."""
    norm: Literal["auto", "batch", "none"] = "auto"
    """Of the discriminator. auto: batch norm, but none with a gradient penalty or with spectral norm."""
    spectral_norm: bool = False
    """Spectral norm in every layer of the discriminator (Miyato et al. 2018)."""
    weight_clip: float = 0.0
    """The discriminator's parameters are clamped to [-weight_clip, weight_clip], >= 0 (WGAN 0.01); 0: not."""
    ema_half_life: float = 20_000
    """Half-life of the averaged generator in samples, >= 0; 0: not averaged."""
    reuse_fakes: bool = True
    """The generator's turn uses the fakes of the last discriminator step instead of drawing others: the same
    gradient in expectation for one generator pass less, at the cost of keeping its graph meanwhile."""

    def __post_init__(self) -> None:
        counts = ("latent_dim", "generator_width", "discriminator_width", "embedding_dim")
        at_least = dict.fromkeys((*counts, "penalty_every", "critic_steps"), 1)
        at_least |= dict.fromkeys(("penalty_weight", "weight_clip", "ema_half_life"), 0)
        for name, least in at_least.items():
            value = getattr(self, name)
            if not least <= value < math.inf:
                raise ConfigError(f"model.{name} = {value} must be finite and at least {least}")
        ranges = {
            "learning_rate": (0 < self.learning_rate <= 1, "(0, 1]; 2e-4 is usual"),
            "discriminator_learning_rate": (0 <= self.discriminator_learning_rate <= 1, "[0, 1]; 0 is usual"),
            "beta1": (0 <= self.beta1 < 1, "[0, 1); 0.5 is usual"),
            "beta2": (0 <= self.beta2 < 1, "[0, 1); 0.999 is usual"),
        }
        for name, (inside, text) in ranges.items():
            if not inside:
                raise ConfigError(f"model.{name} = {getattr(self, name)} is outside {text}")
        for name, hint in get_type_hints(type(self)).items():
            value, known = getattr(self, name), get_args(hint)
            if get_origin(hint) is Literal and value not in known:
                meant = did_you_mean(str(value), known)
                raise ConfigError(f"model.{name} = {value!r}{meant}; known are {', '.join(known)}")
        if self.norm == "batch" and self.penalty != "none":
            raise ConfigError(
                f"model.norm = batch does not go with model.penalty = {self.penalty}: batch norm mixes the "
                "samples whose gradients the penalty takes one by one; use norm auto or none, or penalty none"
            )


class DCGAN(Recipe):
    """Deep convolutional GAN (Radford et al. 2015) with the games and penalties that followed it."""

    domain = "image"
    Config: ClassVar[type] = Config
    Sampling: ClassVar[type] = Sampling
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 10_000, "batch_size": 64}
    memory_format = torch.channels_last

    config: Config

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: channels, height, width (pixels), classes (names). `ConfigError` if they do not fit."""
        super().__init__(config, info)
        strides(info["height"], info["width"])
        names = tuple(info.get("classes", ()))
        if config.conditional == "yes" and len(names) < 2:
            raise ConfigError(
                f"model.conditional = yes needs data with two classes or more, and this has {len(names)}: "
                "use labelled data (--data.labels folders) or --model.conditional auto"
            )
        self.classes = names if config.conditional != "no" and len(names) >= 2 else ()
        self.game = losses.ADVERSARIAL[config.loss]
        self.inline_penalty = config.penalty != "none" and config.penalty_every == 1

    def players(self) -> dict[str, Player]:
        """``generator`` (averaged) and ``discriminator``."""
        c, info = self.config, self.info
        shape, classes = (info["channels"], info["height"], info["width"]), len(self.classes)
        plain = c.norm == "none" or (c.norm == "auto" and (c.penalty != "none" or c.spectral_norm))
        generator = Generator(*shape, c.generator_width, c.latent_dim, classes=classes, embedding_dim=c.embedding_dim)
        discriminator = Discriminator(
            *shape,
            c.discriminator_width,
            classes=classes,
            batch_norm=not plain,
            spectral_norm=c.spectral_norm,
        )
        g_optimizer = self._optimizer(generator, c.learning_rate)
        d_optimizer = self._optimizer(discriminator, c.discriminator_learning_rate or c.learning_rate)
        return {
            "generator": Player(generator, g_optimizer, ema_half_life=c.ema_half_life, ema_buffers=False),
            "discriminator": Player(discriminator, d_optimizer, weight_clip=c.weight_clip),
        }

    def _optimizer(self, module: nn.Module, rate: float) -> torch.optim.Optimizer:
        c = self.config
        if c.optimizer == "rmsprop":
            return torch.optim.RMSprop(module.parameters(), rate, alpha=c.beta2)
        return torch.optim.Adam(module.parameters(), rate, betas=(c.beta1, c.beta2))

    # The method

    def turns(self) -> list[Turn]:
        """``d``, the penalty if it is lazy, ``g``; now and then the averaged generator measures its own batch norm."""
        c, acting = self.config, ("discriminator",)
        slow: dict[str, Any] = {"precision": "fp32", "eager": True}  # what differentiates twice
        d = Turn(
            "d",
            acting,
            self.discriminator_loss,
            repeat=c.critic_steps,
            **(slow if self.inline_penalty else {}),
        )
        g = Turn("g", ("generator",), self.generator_loss)
        lazy = c.penalty != "none" and not self.inline_penalty
        penalty = [Turn(c.penalty, acting, self.lazy_penalty, every=c.penalty_every, **slow)] if lazy else []
        statistics = [Turn("statistics", (), self.statistics, every=STATISTICS_EVERY)] if c.ema_half_life else []
        return [d, *penalty, g, *statistics]

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Real against fake pictures of the same classes, in separate passes (statistics of batch norm)."""
        critic = self._critic(ctx, batch)
        real, fake = batch["image"].detach(), self._detached_fakes(ctx, batch)
        if self.inline_penalty:
            real.requires_grad_("r1" in self.config.penalty)
            fake.requires_grad_("r2" in self.config.penalty)
        real_logits, fake_logits = critic(real), critic(fake)
        self._observe(ctx, real_logits, fake_logits)
        terms = self.game.discriminator(real_logits, fake_logits)
        if self.inline_penalty:
            terms |= self._penalties(ctx, critic, real, fake, real_logits, fake_logits)
        return terms

    def lazy_penalty(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The penalty alone, now and then with as many times the weight (Karras et al. 2020, appendix B)."""
        penalty = self.config.penalty
        real = batch["image"].detach().requires_grad_("r1" in penalty)
        fake = real if penalty in ("r1", "dragan") else self._fakes(ctx, batch).detach()
        if "r2" in penalty:
            fake.requires_grad_()
        return self._penalties(ctx, self._critic(ctx, batch), real, fake)

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The game's term on the fakes that the discriminator's turn left, or on fresh ones."""
        fake, batch = ctx.cache.pop("fakes", None) or (self._fakes(ctx, batch), batch)
        critic = self._critic(ctx, batch)
        real_logits = critic(batch["image"]) if self.config.loss == "relativistic" else None
        return self.game.generator(critic(fake), real_logits)

    def statistics(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """A pass of the averaged generator in training mode, so that its running means are of its own activations.

        Izmailov et al. 2018, algorithm 1, measure them anew at the end; here they are ready at any time. Those of the
        learning generator are true of other weights.
        """
        averaged = ctx.averaged("generator").train()
        for norm in (m for m in averaged.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.momentum = max(0.2, 1 / (1 + ctx.step // STATISTICS_EVERY))  # the plain mean of the first five
        averaged(ctx.noise.normal(len(batch["image"]), self.config.latent_dim), self._label(batch))
        averaged.eval()
        return {}

    def _critic(self, ctx: Context, batch: Batch) -> Callable[[Tensor], Tensor]:
        """Pictures to logits, for the classes of the batch."""
        return partial(ctx["discriminator"], label=self._label(batch))

    def _fakes(self, ctx: Context, batch: Batch) -> Tensor:
        """Fakes (n, C, H, W) of the classes of the batch."""
        latent = ctx.noise.normal(len(batch["image"]), self.config.latent_dim)
        return ctx["generator"](latent, self._label(batch))

    def _detached_fakes(self, ctx: Context, batch: Batch) -> Tensor:
        """Fakes for the discriminator; of the last step with graph, if the generator's turn reuses them."""
        done = ctx.cache["critic_steps"] = ctx.cache.get("critic_steps", 0) + 1
        if not self.config.reuse_fakes or done < self.config.critic_steps:
            return self._fakes(ctx, batch).detach()
        with ctx.graph_of("generator"):
            fake = self._fakes(ctx, batch)
        ctx.cache["fakes"] = fake, batch
        return fake.detach()

    def _penalties(
        self,
        ctx: Context,
        critic: Callable[[Tensor], Tensor],
        real: Tensor,
        fake: Tensor,
        real_logits: Tensor | None = None,
        fake_logits: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The configured terms; ``real`` needs gradients for r1, ``fake`` for r2; given logits are used."""
        penalty, terms = self.config.penalty, {}
        weight = (self.config.penalty_weight or PENALTY_WEIGHT) * self.config.penalty_every
        if "r1" in penalty:
            logits = critic(real) if real_logits is None else real_logits
            terms["r1"] = losses.r1(logits, real, weight)
        if "r2" in penalty:
            logits = critic(fake) if fake_logits is None else fake_logits
            terms["r2"] = losses.r2(logits, fake, weight)
        if penalty == "wgan_gp":
            terms[penalty] = losses.wgan_gp(critic, real, fake, ctx.noise.uniform(len(real)), weight)
        if penalty == "dragan":
            terms[penalty] = losses.dragan(critic, real, ctx.noise.normal(*real.shape), weight)
        return terms

    def _label(self, batch: Batch) -> Tensor | None:
        return batch["label"] if self.classes else None

    def _observe(self, ctx: Context, real: Tensor, fake: Tensor) -> None:
        """Log logits whose sign has a meaning: of pairs it is their order; a Wasserstein critic has none."""
        match self.config.loss:
            case "relativistic":
                ctx.observe_logits(real - fake, fake - real)
            case "least_squares":
                ctx.observe_logits(real - 0.5, fake - 0.5)
            case "minimax" | "saturating" | "hinge":
                ctx.observe_logits(real, fake)

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Logits (n,) of a prepared batch."""
        return networks["discriminator"](batch["image"], self._label(batch))

    # Generation

    def preview(self) -> tuple[int, Sampling]:
        """A row of 8 for each class where there are at most 12, else 64 pictures."""
        if 0 < len(self.classes) <= PREVIEW_ROWS:
            return PREVIEW_COLUMNS * len(self.classes), Sampling(grid=True)
        return 64, Sampling()

    def generate(self, networks: Mapping[str, nn.Module], n: int, noise: Noise, options: Sampling) -> Samples:
        """``n`` pictures (n, C, H, W) float32 in [-1, 1], classes and order as `sampling.arrange` says."""
        from .domain import ImageDomain

        order = arrange(options, n, self.classes)
        generator = networks["generator"]
        device = next(generator.parameters()).device

        def draw(latent: Tensor, label: Tensor | None) -> Tensor:
            return generator(latent.to(device), None if label is None else label.to(device)).float()

        data = in_chunks(draw, latents(options, n, self.config.latent_dim, noise), order.labels)
        return Samples(data, ImageDomain(), order.labels, self.classes, order.kind, order.columns)
