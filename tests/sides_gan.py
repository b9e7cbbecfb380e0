"""A plugin for the core's tests: labelled points in two classes of different size, and a recipe that learns from both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

import polygan
import toy_gan
from polygan import losses


@polygan.hookimpl
def polygan_datasets():
    return [polygan.DatasetSpec("sides", "points", "sides_gan:sides", "40 inner and 10 outer points")]


@polygan.hookimpl
def polygan_recipes():
    return [polygan.RecipeSpec("points/sides", "sides_gan:Sides", "moves inner points outwards")]


class SidesSource(toy_gan.ArraySource):
    fields = {"point": polygan.Field("float32", (2,)), "label": polygan.Field("int64", ())}

    def __init__(self):
        rng = np.random.default_rng(3)
        points = rng.standard_normal((50, 2)).astype("float32")
        self.labels = np.repeat([0, 1], [40, 10])
        super().__init__(points * (1 + 3 * self.labels[:, None]).astype("float32"), "sides-1")
        self.info = {"size": 2, "classes": ["inner", "outer"]}

    def decode(self, index):
        return {"point": self.points[index], "label": self.labels[index]}


def sides(settings):
    return SidesSource()


@dataclass(frozen=True)
class Config:
    width: int = 8
    learning_rate: float = 2e-3


class Sides(polygan.Recipe[Config]):
    """Points of one class become points of the other, as its discriminator sees them."""

    domain = given = "points"
    Config = Config
    defaults = {"steps": 6, "batch_size": 16}

    def networks(self):
        w = self.config.width
        return {
            "generator": nn.Sequential(nn.Linear(2, w), nn.ReLU(), nn.Linear(w, 2)),
            "discriminator": nn.Sequential(nn.Linear(2, w), nn.Softplus(), nn.Linear(w, 1), nn.Flatten(0)),
        }

    def players(self, networks, training):
        adam = {n: torch.optim.Adam(m.parameters(), self.config.learning_rate) for n, m in networks.items()}
        return {n: polygan.Player(m, adam[n]) for n, m in networks.items()}

    def turns(self):
        both = ("train/inner", "train/outer")
        return [
            polygan.Turn("d", ("discriminator",), self.d, data=both),
            polygan.Turn("g", ("generator",), self.g, data="train/inner"),
        ]

    def d(self, ctx, inner, outer):
        fake = ctx["generator"](inner["point"]).detach()
        return losses.minimax_discriminator(ctx["discriminator"](outer["point"]), ctx["discriminator"](fake))

    def g(self, ctx, inner):
        fake = ctx["generator"](inner["point"])
        return {**losses.minimax_generator(ctx["discriminator"](fake)), "near": (fake - inner["point"]).square().mean()}

    def sides(self, options):
        return polygan.Sides(*self.info["classes"])

    def generate(self, networks, request):
        return polygan.Samples(networks["generator"](request.given.data.to(request.device)).cpu())
