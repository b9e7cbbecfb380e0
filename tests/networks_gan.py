"""A plugin with the recipe of two networks on pictures, for the checks of every recipe: a script hands such networks in."""

from __future__ import annotations

from torch import nn

import polygan
from polygan.runs.handed.networks import networks_recipe


@polygan.hookimpl
def polygan_recipes():
    return [polygan.RecipeSpec("image/modules", "networks_gan:PictureModules", "any generator and discriminator")]


def generator():
    return nn.Sequential(nn.Linear(64, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))


def discriminator():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 1))


PictureModules = networks_recipe((generator, discriminator), "image")
