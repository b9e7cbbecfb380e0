"""A plugin for the core's tests: points in named classes, and recipes whose networks know classes by number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

import polygan
import toy_gan


@polygan.hookimpl
def polygan_datasets():
    return [
        polygan.DatasetSpec(
            "sorted", "points", "sorted_gan:points", "points in classes", settings="sorted_gan:Settings"
        )
    ]


@polygan.hookimpl
def polygan_recipes():
    return [
        polygan.RecipeSpec(f"points/{name.lower()}", f"sorted_gan:{name}", "points of a class")
        for name in ("Sorted", "Other")
    ]


@dataclass(frozen=True, kw_only=True)
class Settings(polygan.DataSettings):
    names: str = "a,b,c"
    """Names of the classes."""
    size: int = 2
    """Length of a point."""


class Points(toy_gan.ArraySource):
    def __init__(self, settings):
        points = np.random.default_rng(0).standard_normal((60, settings.size)).astype("float32")
        super().__init__(points, f"sorted {settings.names} {settings.size}")
        self.fields = {"point": polygan.Field("float32", (settings.size,)), "label": polygan.Field("int64", ())}
        names = settings.names.split(",")
        self.info = {"size": settings.size, "classes": names, "class_counts": [60 // len(names)] * len(names)}
        self.classes = len(names)

    def decode(self, index):
        return {"point": self.points[index], "label": np.int64(index % self.classes)}


def points(settings):
    return Points(settings)


@dataclass(frozen=True)
class Config:
    width: int = 8
    """Units."""
    depth: int = 1
    """Layers."""
    learning_rate: float = 1e-9
    """Of Adam."""


class Net(nn.Module):
    def __init__(self, inputs, config, outputs, classes):
        super().__init__()
        w = config.width
        self.first = nn.Linear(inputs, w)
        self.layers = nn.Sequential(*[nn.Linear(w, w) for _ in range(config.depth)])
        self.last = nn.Linear(w, outputs)
        self.embedding = nn.Embedding(classes, w) if classes > 1 else None

    def forward(self, x, label):
        h = self.layers(self.first(x))
        return self.last(h if self.embedding is None else h + self.embedding(label))


class Sorted(toy_gan.MLPGAN):
    Config = Config

    def networks(self):
        n, size = len(self.info["classes"]), self.info["size"]
        return {"generator": Net(2, self.config, size, n), "discriminator": Net(size, self.config, 1, n)}

    def players(self, networks, training):
        adam = {name: torch.optim.Adam(net.parameters(), self.config.learning_rate) for name, net in networks.items()}
        return {name: polygan.Player(networks[name], adam[name], ema_half_life=50) for name in networks}

    def turns(self):
        return [polygan.Turn(name, (name,), self.loss) for name in ("discriminator", "generator")]

    def loss(self, ctx, batch):
        fake = ctx["generator"](ctx.noise.normal(len(batch["point"]), 2), batch["label"])
        return {"logit": ctx["discriminator"](fake, batch["label"]).mean()}

    def generate(self, networks, request):
        label = torch.arange(request.n) % len(self.info["classes"])
        return polygan.Samples(networks["generator"](request.noise.normal(request.n, 2), label))


class Other(Sorted):
    pass
