"""Two MLPs with the relativistic pairing loss and both gradient penalties (Huang et al. 2024, "R3GAN", eq. 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

import polygan
from polygan import losses

if TYPE_CHECKING:
    from collections.abc import Mapping

    Networks = Mapping[str, nn.Module]

GAME = losses.ADVERSARIAL["relativistic"]


@dataclass(frozen=True)
class Config(polygan.Checked, group="model"):
    """The model."""

    latent_dim: int = polygan.ranged(8, "[1, inf)")
    """Size of the latent."""
    width: int = polygan.ranged(128, "[1, inf)")
    """Hidden units of each of the three layers."""
    gamma: float = polygan.ranged(0.02, "[0, inf)")
    """Weight of R1 and R2."""
    learning_rate: float = polygan.ranged(1e-3, "(0, 1]")
    """Of Adam with beta1 = 0, for both players."""


def mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Three hidden layers."""
    hidden = [m for _ in range(2) for m in (nn.Linear(width, width), nn.LeakyReLU(0.2))]
    return nn.Sequential(nn.Linear(inputs, width), nn.LeakyReLU(0.2), *hidden, nn.Linear(width, outputs))


class PointGAN(polygan.Recipe[Config]):
    """R3GAN's game (Huang et al. 2024, eq. 4) with MLPs."""

    domain = "points"
    Config = Config
    defaults: ClassVar[dict[str, Any]] = {"steps": 1500, "batch_size": 256}

    def networks(self) -> dict[str, nn.Module]:
        latent_dim, width = self.config.latent_dim, self.config.width
        return {"generator": mlp(latent_dim, width, 2), "discriminator": mlp(2, width, 1)}

    def players(self, networks: Networks, training: polygan.TrainerSettings) -> dict[str, polygan.Player]:
        rate, half_lives = self.config.learning_rate, {"generator": 5000}
        adam = {name: torch.optim.Adam(network.parameters(), rate, (0.0, 0.99)) for name, network in networks.items()}
        return {
            name: polygan.Player(networks[name], adam[name], ema_half_life=half_lives.get(name, 0)) for name in adam
        }

    def turns(self) -> list[polygan.Turn]:
        return [
            polygan.Turn("d", ("discriminator",), self.d, differentiates_twice=True),
            polygan.Turn("g", ("generator",), self.g),
        ]

    def fake(self, ctx: polygan.Context, n: int) -> torch.Tensor:
        """(n, 2)"""
        return ctx["generator"](ctx.noise.normal(n, self.config.latent_dim))

    def d(self, ctx: polygan.Context, batch: polygan.Batch) -> dict[str, torch.Tensor]:
        real = batch["point"].detach().requires_grad_(True)
        fake = self.fake(ctx, len(real)).detach().requires_grad_(True)
        discriminator, gamma = ctx["discriminator"], self.config.gamma
        real_logits, fake_logits = discriminator(real), discriminator(fake)
        penalties = {"r1": losses.r1(real_logits, real, gamma), "r2": losses.r2(fake_logits, fake, gamma)}
        return {**GAME.discriminator(real_logits, fake_logits), **penalties}

    def g(self, ctx: polygan.Context, batch: polygan.Batch) -> dict[str, torch.Tensor]:
        real, discriminator = batch["point"], ctx["discriminator"]
        return GAME.generator(discriminator(self.fake(ctx, len(real))), discriminator(real))

    def generate(self, networks: Networks, request: polygan.Request) -> polygan.Samples:
        latents = request.noise.normal(request.n, self.config.latent_dim).to(request.device)
        return polygan.Samples(polygan.in_chunks(networks["generator"], latents, size=4096))

    def preview(self) -> tuple[int, object]:
        return 1000, self.Sampling()

    def critic(self, networks: Networks, batch: polygan.Batch) -> torch.Tensor:
        return networks["discriminator"](batch["point"]).flatten()
