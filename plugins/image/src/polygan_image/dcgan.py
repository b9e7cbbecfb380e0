"""Deep convolutional GAN (Radford et al. 2015, arXiv:1511.06434), class-conditional where labels exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from polygan import ConfigError, Player, ranged

from .base import ImageGAN
from .game import Adversarial, Game, Penalty
from .networks.dcgan import Discriminator, Generator, strides
from .settings import Augment, ImageConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from polygan import Batch, Context, TrainerSettings, Turn

PENALTY_WEIGHT = 10.0  # the weight of R1 (Mescheder 2018), WGAN-GP (Gulrajani 2017) and DRAGAN (Kodali 2017)


@dataclass(frozen=True, kw_only=True)
class Config(ImageConfig):
    """Settings of DCGAN. The defaults are the paper's, except for classes and averaging; losses and penalties combine freely."""

    latent_dim: int = ranged(100, "[1, inf)")
    """Numbers in a latent vector (standard normal)."""
    generator_width: int = ranged(64, "[1, inf)")
    """Channels of the generator's last hidden layer; earlier layers have 2, 4, at most 8 times as many."""
    discriminator_width: int = ranged(64, "[1, inf)")
    """Channels of the discriminator's first layer; later layers have 2, 4, at most 8 times as many."""
    embedding_dim: int = ranged(50, "[1, inf)")
    """Numbers that stand for a class beside the latent vector of a conditional generator."""
    loss: Adversarial = "minimax"
    """The game (`polygan.losses.ADVERSARIAL`); minimax is the paper's non-saturating loss."""
    penalty: Penalty = "none"
    """Gradient penalty on the discriminator."""
    penalty_weight: float = ranged(0.0, "[0, inf)")
    """Weight of the penalty: gamma of r1 and r2, lambda of the others; 0: 10, as in their papers."""
    penalty_every: int = ranged(1, "[1, inf)")
    """Iterations between penalties; above 1 the penalty has its own turn and that many times the weight."""
    critic_steps: int = ranged(1, "[1, inf)")
    """Discriminator steps an iteration; 5 is usual for wasserstein."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    """Optimizer of both networks; rmsprop is usual for the clipped wasserstein game."""
    learning_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")
    """Learning rate of the generator, and of the discriminator unless that has its own."""
    discriminator_learning_rate: float = ranged(0.0, "[0, 1]", usual=0)
    """Learning rate of the discriminator; 0: the generator's rate."""
    beta1: float = ranged(0.5, "[0, 1)")
    """Decay of the mean gradient in adam; rmsprop has none."""
    beta2: float = ranged(0.999, "[0, 1)")
    """Decay of the mean squared gradient in adam and rmsprop."""
    norm: Literal["auto", "batch", "none"] = "auto"
    """Norm of the discriminator. auto: batch norm, but none with a gradient penalty or with spectral norm."""
    spectral_norm: bool = False
    """Spectral norm in every layer of the discriminator (Miyato et al. 2018)."""
    weight_clip: float = ranged(0.0, "[0, inf)")
    """The discriminator's parameters are clamped to [-weight_clip, weight_clip] (WGAN 0.01); 0: not."""
    ema_half_life: float = ranged(20_000, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""
    mode_seeking: float = ranged(0.3, "[0, inf)")
    """Weight of a term that keeps the pictures of a class apart (Mao et al. 2019); 0: none. Without classes the term does nothing."""
    augment: Augment = "none"
    """How pictures are altered before the discriminator: ada (adaptive), diffaugment (always), none; auto: ada below 100,000 pictures."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm == "batch" and self.penalty != "none":
            raise ConfigError(
                f"model.norm = batch does not go with model.penalty = {self.penalty}: batch norm mixes the "
                "samples whose gradients the penalty takes one by one; use norm auto or none, or penalty none"
            )


class DCGAN(ImageGAN[Config]):
    """Deep convolutional GAN (Radford et al. 2015) with the games and penalties that followed it."""

    Config: ClassVar[type] = Config
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 10_000, "batch_size": 64}
    first_options = ("loss", "augment")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """As `ImageGAN`; raises `ConfigError` also for sizes that doublings do not reach."""
        super().__init__(config, info)
        strides(info["height"], info["width"])
        c, self.latent_dim = config, config.latent_dim
        self.game = Game(c.loss, c.penalty, c.penalty_weight or PENALTY_WEIGHT, c.penalty_every, c.critic_steps)
        if not self.game.signed and self.augmentation == "ada":
            raise ConfigError(
                f"model.augment = ada follows the sign of the logits, which has no meaning in model.loss = {c.loss}; "
                "use diffaugment or none"
            )

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator``; ``augmentation`` if it is adaptive."""
        c, shape, classes = self.config, self.shape, len(self.classes)
        plain = c.norm == "none" or (c.norm == "auto" and (c.penalty != "none" or c.spectral_norm))
        norms = {"batch_norm": not plain, "spectral_norm": c.spectral_norm}
        return {
            "generator": Generator(
                *shape, c.generator_width, c.latent_dim, classes=classes, embedding_dim=c.embedding_dim
            ),
            "discriminator": Discriminator(*shape, c.discriminator_width, classes=classes, **norms),
            **self._augmentation_network(),
        }

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """The generator is averaged; the discriminator may have its own rate and clipped weights."""
        c, generator, discriminator = self.config, networks["generator"], networks["discriminator"]
        g = self._optimizer(generator, c.learning_rate)
        d = self._optimizer(discriminator, c.discriminator_learning_rate or c.learning_rate)
        return {
            "generator": Player(generator, g, ema_half_life=c.ema_half_life, ema_buffers=False),
            "discriminator": Player(discriminator, d, weight_clip=c.weight_clip),
        }

    def _optimizer(self, module: nn.Module, rate: float) -> torch.optim.Optimizer:
        c = self.config
        if c.optimizer == "rmsprop":
            return torch.optim.RMSprop(module.parameters(), rate, alpha=c.beta2)
        return torch.optim.Adam(module.parameters(), rate, betas=(c.beta1, c.beta2))

    # The method

    def turns(self) -> list[Turn]:
        """``d``, the penalty if it is lazy, ``g``; now and then the averaged generator measures its own batch norm."""
        played = self.game.turns(self.discriminator_loss, self.lazy_penalty, self.generator_loss)
        statistics = self._statistics_turn() if self.config.ema_half_life else []
        return [*played, *statistics, *self._augmentation_turn()]

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The game's term on the discriminator's last fakes, or on fresh fakes."""
        fakes = self._shown_fakes(ctx, batch)
        critic = self._critic(ctx, fakes.batch)
        real_logits = critic(fakes.batch["image"]) if self.game.pairs else None
        return self.game.generator(critic(fakes.images), real_logits) | self._mode_seeking(fakes)
