"""The common part of the recipes of pictures: classes, fakes that two turns use, augmentation, previews and generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, cast

import torch
from torch import nn

from polygan import Context, Recipe, Samples, Turn, classes_of, in_chunks, losses

from .networks.augment import DIFFAUGMENT_DRAWS, NORMAL_DRAWS, UNIFORM_DRAWS, Adaptive, adaptive_augment, diffaugment
from .sampling import Sampling, arrange, latents
from .settings import MANY, ImageConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from polygan import Batch, Request, TrainerSettings

    from .data.settings import ImageInfo
    from .game import Game

C = TypeVar("C", bound=ImageConfig)
"""The settings of a recipe of pictures."""

ADAPT_EVERY = 4  # iterations (Karras et al. 2020, section 3.1)
STATISTICS_EVERY = 4
PREVIEW_ROWS, PREVIEW_COLUMNS = 12, 8


class Fakes(NamedTuple):
    """Fakes that the discriminator sees in the generator's turn."""

    images: Tensor
    latents: Tensor
    batch: Batch
    """The real pictures whose classes the fakes have."""


class ImageGAN(Recipe[C]):
    """A generator and a discriminator of pictures that play a `Game`; a subclass adds its networks, its optimizers and its game.

    The networks are called ``generator`` and ``discriminator``; the discriminator maps pictures (n, C, H, W) and labels (n,)
    or None to logits (n,).
    """

    domain = "image"
    Sampling: ClassVar[type] = Sampling
    memory_format = torch.channels_last

    game: Game
    latent_dim: int

    def __init__(self, config: C, info: Mapping[str, Any]) -> None:
        """``info``: `ImageInfo`. Raises ConfigError if settings and data do not fit."""
        super().__init__(config, info)
        self.facts = facts = cast("ImageInfo", info)
        self.count: int = info["count"]
        remedy = "use labelled data (--data.labels folders)"
        self.classes = classes_of(config.conditional, info, remedy)
        self.shape = (facts["channels"], facts["height"], facts["width"])
        self.augmentation = config.augment
        if config.augment == "auto":
            self.augmentation = "ada" if self.count < MANY else "none"

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """The augmentation that follows from the number of pictures."""
        if self.config.augment != "auto":
            return []
        return [f"model.augment = auto is {self.augmentation}: {self.count:,} pictures, ada is for fewer than {MANY:,}"]

    # The game

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Real against fake pictures of the same classes, in passes of their own, and the penalty unless it is lazy."""
        game, critic = self.game, self._critic(ctx, batch)
        real, fake = batch["image"].detach(), self._detached_fakes(ctx, batch)
        if game.inline:
            game.watch(real, fake)
        logits = critic(real), critic(fake)
        terms = self._played(ctx, *logits)
        return terms | game.penalties(critic, real, fake, ctx.noise, logits) if game.inline else terms

    def lazy_penalty(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The penalty alone."""
        game, critic = self.game, self._critic(ctx, batch)
        real = batch["image"].detach()
        fake = self._fakes(ctx, batch).images.detach() if game.needs_fakes else real
        game.watch(real, fake)
        return game.penalties(critic, real, fake, ctx.noise)

    def _played(self, ctx: Context, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """The discriminator's terms. Logits with a meaningful sign are logged and drive adaptive augmentation."""
        if self.game.signed:
            real, fake = self.game.signs(real_logits, fake_logits)
            ctx.observe_logits(real, fake)
            if self.augmentation == "ada":
                _adaptive(ctx).record(real)
        return self.game.discriminator(real_logits, fake_logits)

    # Fakes

    def _label(self, batch: Batch) -> Tensor | None:
        return batch["label"] if self.classes else None

    def _fakes(self, ctx: Context, batch: Batch) -> Fakes:
        """Fakes (n, C, H, W) of the classes of the batch."""
        latents = ctx.noise.normal(len(batch["image"]), self.latent_dim)
        return Fakes(ctx["generator"](latents, self._label(batch)), latents, batch)

    def _detached_fakes(self, ctx: Context, batch: Batch) -> Tensor:
        """Fakes for the discriminator. The last step keeps their graph if the generator's turn reuses the fakes."""
        done = ctx.cache["critic_steps"] = ctx.cache.get("critic_steps", 0) + 1
        if not self.config.reuse_fakes or done < self.game.critic_steps:
            return self._fakes(ctx, batch).images.detach()
        with ctx.graph_of("generator"):
            fakes = ctx.cache["fakes"] = self._fakes(ctx, batch)
        return fakes.images.detach()

    def _shown_fakes(self, ctx: Context, batch: Batch) -> Fakes:
        """Fakes for the generator's turn: the discriminator's last fakes, or fresh fakes."""
        return ctx.cache.pop("fakes", None) or self._fakes(ctx, batch)

    def _mode_seeking(self, fakes: Fakes) -> dict[str, Tensor]:
        """The generator's term against a single picture a class, if the term has a weight and there are classes."""
        weight, label = self.config.mode_seeking, self._label(fakes.batch)
        if not weight or label is None:
            return {}
        return {"mode_seeking": weight * losses.mode_seeking(fakes.images, fakes.latents, label)}

    # What the discriminator sees

    def _critic(self, ctx: Context, batch: Batch) -> Callable[[Tensor], Tensor]:
        """Pictures to logits, for the classes of the batch; each call augments the pictures anew, and gradients pass through."""
        network, label = ctx["discriminator"], self._label(batch)
        return lambda images: network(self._augment(ctx, images), label)

    def _augment(self, ctx: Context, images: Tensor) -> Tensor:
        n = len(images)
        if self.augmentation == "none":
            return images
        images = images if images.dtype == torch.float64 else images.float()
        with ctx.fp32():
            if self.augmentation == "diffaugment":
                return diffaugment(images, ctx.noise.uniform(n, DIFFAUGMENT_DRAWS))
            draws = ctx.noise.uniform(n, UNIFORM_DRAWS), ctx.noise.normal(n, NORMAL_DRAWS)
            return adaptive_augment(images, _adaptive(ctx).p, *draws)

    def _augmentation_network(self) -> dict[str, nn.Module]:
        """The augmentation's state, which nothing trains."""
        return {"augmentation": Adaptive()} if self.augmentation == "ada" else {}

    def _augmentation_turn(self) -> list[Turn]:
        """``ada``, after the discriminator's turn, moves the probability."""
        return [Turn("ada", (), self.adapt, data=None, every=ADAPT_EVERY)] if self.augmentation == "ada" else []

    def adapt(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """p goes up if r_t is above its target, and down otherwise (Karras et al. 2020, section 3.1); p is logged."""
        move = ADAPT_EVERY * ctx.training.batch_size / self.config.augment_horizon
        return {"p": _adaptive(ctx).adapt(move, self.config.augment_target, self.config.augment_limit)}

    # Batch norm of an averaged generator

    def _statistics_turn(self) -> list[Turn]:
        """``statistics``: now and then the averaged generator measures its own batch norm."""
        return [Turn("statistics", (), self.statistics, every=STATISTICS_EVERY)]

    def statistics(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """A pass of the averaged generator in training mode, so that its running means fit its own activations.

        The running means of the learning generator fit other weights. Izmailov et al. 2018, algorithm 1, measure the means
        anew at the end; here they are ready at any time.
        """
        averaged = ctx.averaged("generator").train()
        for norm in (m for m in averaged.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.momentum = max(0.2, 1 / (1 + ctx.step // STATISTICS_EVERY))  # the plain mean of the first five
        averaged(ctx.noise.normal(len(batch["image"]), self.latent_dim), self._label(batch))
        averaged.eval()
        return {}

    # Logits and samples

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Logits (n,) of a prepared batch."""
        return networks["discriminator"](batch["image"], self._label(batch))

    def preview(self) -> tuple[int, Any]:
        """A row of 8 pictures for each of at most 12 classes, otherwise 64 pictures."""
        if 0 < len(self.classes) <= PREVIEW_ROWS:
            return PREVIEW_COLUMNS * len(self.classes), self.Sampling(grid=True)
        return 64, self.Sampling()

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """``request.n`` pictures (n, C, H, W) float32 in [-1, 1], with the classes and the order of `sampling.arrange`."""
        n, options, device = request.n, request.options, request.device
        order = arrange(options, n, self.classes, self.facts.get("class_counts"))
        generator = networks["generator"]

        def draw(latent: Tensor, label: Tensor | None) -> Tensor:
            return generator(latent.to(device), None if label is None else label.to(device)).float().clamp(-1, 1)

        data = in_chunks(draw, latents(options, n, self.latent_dim, request.noise), order.labels)
        return Samples(data, labels=order.labels, classes=self.classes, kind=order.kind, columns=order.columns)


def _adaptive(ctx: Context) -> Adaptive:
    return cast("Adaptive", ctx["augmentation"])
