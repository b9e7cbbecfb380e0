"""One kind of picture into another without pairs: a small CycleGAN (Zhu et al. 2017, "Unpaired image-to-image translation").

polygan --plugin tiny_cyclegan.py train image/tiny-cyclegan --data horses-and-zebras/ --data.resolution 64
polygan --plugin tiny_cyclegan.py generate RUN --input horses/ --to zebra --out zebras/
"""

from dataclasses import dataclass

import torch
from torch import nn

import polygan
from polygan import losses


@polygan.hookimpl
def polygan_recipes():
    return [polygan.RecipeSpec("image/tiny-cyclegan", "tiny_cyclegan:TinyCycleGAN", "one class into the other")]


@dataclass(frozen=True)
class Config:
    width: int = 32
    """Channels of the first layer of each network."""
    cycle: float = 10.0
    """Weight of the mean absolute difference from a picture that went there and back."""
    learning_rate: float = 2e-4
    """Of all networks."""


@dataclass(frozen=True)
class Sampling:
    to: str = ""
    """The class that pictures are made into, by name; empty: the second one."""


def translator(channels, width):
    inner = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, 1, 1), nn.LeakyReLU(0.2))
    outer = nn.Conv2d(channels, width, 4, 2, 1), nn.ConvTranspose2d(width, channels, 4, 2, 1)
    return nn.Sequential(outer[0], inner, outer[1], nn.Tanh())


def patches(channels, width):
    return nn.Sequential(nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, 1, 3, 1, 1))


class TinyCycleGAN(polygan.Recipe[Config]):
    domain = given = "image"
    Config, Sampling = Config, Sampling
    defaults = {"steps": 5000, "batch_size": 8, "data.labels": "folders"}

    def networks(self):
        if len(self.info["classes"]) < 2:
            raise polygan.ConfigError("image/tiny-cyclegan needs two classes; give each a folder in --data")
        channels, width = self.info["channels"], self.config.width
        made = {f"to_{side}": translator(channels, width) for side in "ab"}
        return made | {f"critic_{side}": patches(channels, width) for side in "ab"}

    def players(self, networks, training):
        rate = self.config.learning_rate
        adam = {name: torch.optim.Adam(m.parameters(), rate, (0.5, 0.999)) for name, m in networks.items()}
        return {name: polygan.Player(m, adam[name]) for name, m in networks.items()}

    def turns(self):
        sides = tuple(f"train/{name}" for name in self.info["classes"][:2])
        return [
            polygan.Turn("d", ("critic_a", "critic_b"), self.d, data=sides),
            polygan.Turn("g", ("to_a", "to_b"), self.g, data=sides),
        ]

    def d(self, ctx, a, b):
        terms = {}
        for side, real, other in (("a", a, b), ("b", b, a)):
            critic, fake = ctx[f"critic_{side}"], ctx[f"to_{side}"](other["image"]).detach()
            found = losses.least_squares_discriminator(critic(real["image"]), critic(fake))
            terms |= {f"{name}_{side}": term for name, term in found.items()}
        return terms

    def g(self, ctx, a, b):
        terms = {}
        for side, back, other in (("a", "b", b), ("b", "a", a)):
            fake = ctx[f"to_{side}"](other["image"])
            terms[f"to_{side}"] = losses.least_squares_generator(ctx[f"critic_{side}"](fake))["adversarial"]
            cycled = ctx[f"to_{back}"](fake)
            terms[f"cycle_{back}"] = self.config.cycle * (cycled - other["image"]).abs().mean()
        return terms

    def generate(self, networks, request):
        to = networks["to_b" if polygan.class_index(request.options.to or 1, self.info["classes"][:2]) else "to_a"]
        return polygan.Samples(polygan.in_chunks(lambda x: to(x.to(request.device)), request.given.data))
