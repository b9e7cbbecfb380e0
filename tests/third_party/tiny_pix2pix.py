"""Colour from grey: a small pix2pix (Isola et al. 2017, "Image-to-image translation with conditional adversarial networks").

polygan --plugin tiny_pix2pix.py train image/tiny-pix2pix --data photos/ --data.pairs grey --data.resolution 64
polygan --plugin tiny_pix2pix.py generate RUN --input grey-photos/ --out coloured/
"""

from dataclasses import dataclass

import torch
from torch import nn

import polygan
from polygan import losses


@polygan.hookimpl
def polygan_recipes():
    return [polygan.RecipeSpec("image/tiny-pix2pix", "tiny_pix2pix:TinyPix2Pix", "colour from grey")]


@dataclass(frozen=True)
class Config:
    width: int = 32
    """Channels of the first layer of both networks."""
    l1: float = 100.0
    """Weight of the mean absolute difference from the real picture."""
    learning_rate: float = 2e-4
    """Of both networks."""


class UNet(nn.Module):
    """Two halvings, two doublings, and a way past the smallest map: (n, given, H, W) to (n, made, H, W) in [-1, 1]."""

    def __init__(self, given, made, width):
        super().__init__()
        self.down = nn.Conv2d(given, width, 4, 2, 1)
        self.deep = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
        )  # fmt: skip
        self.up = nn.Sequential(nn.LeakyReLU(0.2), nn.ConvTranspose2d(2 * width, made, 4, 2, 1), nn.Tanh())

    def forward(self, x):
        x = self.down(x)
        return self.up(torch.cat([x, self.deep(x)], 1))


class TinyPix2Pix(polygan.Recipe[Config]):
    domain = given = "image"
    Config = Config
    defaults = {"steps": 5000, "batch_size": 16, "data.pairs": "grey"}

    def networks(self):
        if "given" not in self.info:
            raise polygan.ConfigError("image/tiny-pix2pix learns from pairs; add --data.pairs grey")
        given, made, width = self.info["given"]["channels"], self.info["channels"], self.config.width
        patches = nn.Sequential(
            nn.Conv2d(given + made, width, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, 1, 3, 1, 1)
        )
        return {"generator": UNet(given, made, width), "discriminator": patches}

    def players(self, networks, training):
        rate = self.config.learning_rate
        adam = {name: torch.optim.Adam(m.parameters(), rate, (0.5, 0.999)) for name, m in networks.items()}
        return {name: polygan.Player(m, adam[name]) for name, m in networks.items()}

    def turns(self):
        return [polygan.Turn("d", ("discriminator",), self.d), polygan.Turn("g", ("generator",), self.g)]

    def d(self, ctx, batch):
        fake = ctx["generator"](batch["given"]).detach()
        real, fake = (ctx["discriminator"](torch.cat([batch["given"], x], 1)) for x in (batch["image"], fake))
        return losses.minimax_discriminator(real, fake)

    def g(self, ctx, batch):
        fake = ctx["generator"](batch["given"])
        logits = ctx["discriminator"](torch.cat([batch["given"], fake], 1))
        return losses.minimax_generator(logits) | {"l1": self.config.l1 * (fake - batch["image"]).abs().mean()}

    def critic(self, networks, batch):
        return networks["discriminator"](torch.cat([batch["given"], batch["image"]], 1)).mean((1, 2, 3))

    def generate(self, networks, request):
        made = polygan.in_chunks(lambda x: networks["generator"](x.to(request.device)), request.given.data)
        return polygan.Samples(made)
