"""R3GAN (Huang et al. 2024, "The GAN is dead; long live the GAN!", arXiv:2501.05441), class-conditional where labels exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from polygan import Player, ranged

from .base import ImageGAN
from .game import Game
from .networks.dcgan import strides
from .networks.r3gan import Discriminator, Generator
from .settings import ImageConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from polygan import Batch, Context, TrainerSettings, Turn


@dataclass(frozen=True, kw_only=True)
class Config(ImageConfig):
    """Settings of R3GAN: the paper's method with narrower networks, without the paper's schedules, and with a term that keeps the
    pictures of a class apart."""

    latent_dim: int = ranged(64, "[1, inf)")
    """Numbers in a latent vector (standard normal)."""
    generator_width: int = ranged(64, "[1, inf)")
    """Channels of the generator's finest map; coarser maps have 2 and 4 times as many."""
    discriminator_width: int = ranged(64, "[1, inf)")
    """Channels of the discriminator's finest map; coarser maps have 2 and 4 times as many."""
    depth: int = ranged(2, "[1, inf)")
    """Residual blocks a resolution."""
    group: int = ranged(16, "[1, inf)")
    """Channels that a 3x3 convolution mixes."""
    gamma: float = ranged(1.0, "[0, inf)")
    """Weight of R1 and of R2; the harder the data and the larger the pictures, the more."""
    penalty_every: int = ranged(1, "[1, inf)")
    """Iterations between the penalties: 1 as in the paper; above 1 the penalties have their own turn and that many times the
    weight, which spares most of the second derivatives."""
    learning_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")
    """Learning rate of both networks."""
    beta1: float = ranged(0.0, "[0, 1)")
    """Decay of Adam's mean gradient."""
    beta2: float = ranged(0.99, "[0, 1)")
    """Decay of Adam's mean squared gradient."""
    ema_half_life: float = ranged(20_000, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""
    mode_seeking: float = ranged(0.3, "[0, inf)")
    """Weight of a term that keeps the pictures of a class apart (Mao et al. 2019); 0: none. Without classes the term does nothing."""


class R3GAN(ImageGAN[Config]):
    """The relativistic game with R1 and R2, in every step as a rule: convergent, and so without normalisation or tricks."""

    Config: ClassVar[type] = Config
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 20_000, "batch_size": 64}
    first_options = ("gamma", "augment")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """As `ImageGAN`; raises ConfigError for a size that the networks cannot reach."""
        super().__init__(config, info)
        strides(info["height"], info["width"], "image/r3gan")
        self.latent_dim = config.latent_dim
        self.game = Game("relativistic", "r1r2", config.gamma, config.penalty_every)

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator``; ``augmentation`` if it is adaptive."""
        c, shared = self.config, {"classes": len(self.classes), "depth": self.config.depth, "group": self.config.group}
        return {
            "generator": Generator(*self.shape, c.generator_width, c.latent_dim, **shared),
            "discriminator": Discriminator(*self.shape, c.discriminator_width, **shared),
            **self._augmentation_network(),
        }

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for both; the generator is averaged."""
        generator, discriminator = networks["generator"], networks["discriminator"]
        return {
            "generator": Player(generator, self._adam(generator), ema_half_life=self.config.ema_half_life),
            "discriminator": Player(discriminator, self._adam(discriminator)),
        }

    def _adam(self, module: nn.Module) -> torch.optim.Adam:
        c = self.config
        return torch.optim.Adam(module.parameters(), c.learning_rate, betas=(float(c.beta1), float(c.beta2)))

    def turns(self) -> list[Turn]:
        """``d``, with the penalties unless the turn ``penalties`` has them; ``g``; ``ada`` now and then.

        d: -log s(D(x) - D(G(z))) + gamma/2 |grad D(x)|^2 + gamma/2 |grad D(G(z))|^2 (section 3).
        """
        losses = self.discriminator_loss, self.lazy_penalty, self.generator_loss
        return [*self.game.turns(*losses, name="penalties"), *self._augmentation_turn()]

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """-log s(D(G(z)) - D(x))."""
        fakes = self._shown_fakes(ctx, batch)
        critic = self._critic(ctx, fakes.batch)
        fake_logits, real_logits = critic(fakes.images), critic(fakes.batch["image"].detach())
        return self.game.generator(fake_logits, real_logits) | self._mode_seeking(fakes)
