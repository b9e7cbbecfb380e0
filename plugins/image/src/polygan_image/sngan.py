"""Spectral normalisation GAN (Miyato et al. 2018, arXiv:1802.05957), class-conditional where labels exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from polygan import Player, ranged

from .base import ImageGAN
from .game import Game
from .networks.dcgan import strides
from .networks.sngan import Discriminator, Generator
from .settings import ImageConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from polygan import Batch, Context, TrainerSettings, Turn


@dataclass(frozen=True, kw_only=True)
class Config(ImageConfig):
    """Settings of SNGAN. The defaults are the paper's, except for narrower networks and an averaged generator."""

    latent_dim: int = ranged(128, "[1, inf)")
    """Numbers in a latent vector (standard normal)."""
    generator_width: int = ranged(64, "[1, inf)")
    """Channels of the generator's finest map; coarser maps have 2 and 4 times as many."""
    discriminator_width: int = ranged(64, "[1, inf)")
    """Channels of the discriminator's finest map; coarser maps have 2 and 4 times as many."""
    critic_steps: int = ranged(5, "[1, inf)")
    """Discriminator steps an iteration."""
    learning_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")
    """Learning rate of both networks at the start; the rate falls linearly to 0 at the last iteration."""
    beta1: float = ranged(0.0, "[0, 1)")
    """Decay of Adam's mean gradient."""
    beta2: float = ranged(0.9, "[0, 1)")
    """Decay of Adam's mean squared gradient."""
    ema_half_life: float = ranged(20_000, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""


class SNGAN(ImageGAN[Config]):
    """Hinge game with spectral norm in every layer of a residual discriminator (Miyato et al. 2018)."""

    Config: ClassVar[type] = Config
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 20_000, "batch_size": 64}
    first_options = ("generator_width", "augment")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """As `ImageGAN`; raises ConfigError for a size that the networks cannot reach."""
        super().__init__(config, info)
        strides(info["height"], info["width"], "image/sngan")
        self.latent_dim = config.latent_dim
        self.game = Game("hinge", critic_steps=config.critic_steps)

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator``; ``augmentation`` if it is adaptive."""
        c, classes = self.config, len(self.classes)
        return {
            "generator": Generator(*self.shape, c.generator_width, c.latent_dim, classes=classes),
            "discriminator": Discriminator(*self.shape, c.discriminator_width, classes=classes),
            **self._augmentation_network(),
        }

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for both, at a rate that reaches 0 when training ends; the generator is averaged."""
        c = self.config

        def player(module: nn.Module, half_life: float = 0) -> Player:
            optimizer = torch.optim.Adam(module.parameters(), c.learning_rate, betas=(float(c.beta1), float(c.beta2)))
            falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / training.steps))
            return Player(module, optimizer, falling, ema_half_life=half_life, ema_buffers=not half_life)

        return {
            "generator": player(networks["generator"], c.ema_half_life),
            "discriminator": player(networks["discriminator"]),
        }

    def turns(self) -> list[Turn]:
        """``d`` several times, ``g``; ``statistics`` of the averaged generator and ``ada`` now and then."""
        played = self.game.turns(self.discriminator_loss, self.lazy_penalty, self.generator_loss)
        statistics = self._statistics_turn() if self.config.ema_half_life else []
        return [*played, *statistics, *self._augmentation_turn()]

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """max(0, 1 - D(x)) + max(0, 1 + D(G(z))) (eq. 16)."""
        critic = self._critic(ctx, batch)
        real = critic(batch["image"])
        return self._played(ctx, real, critic(self._detached_fakes(ctx, batch)))

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """-D(G(z)) (eq. 17)."""
        fakes = self._shown_fakes(ctx, batch)
        return self.game.generator(self._critic(ctx, fakes.batch)(fakes.images)) | self._mode_seeking(fakes)
