"""A plugin for the core's tests: a recipe whose generator is built from the mean of the training points."""

from __future__ import annotations

import torch
from torch import nn

import polygan
import toy_gan


@polygan.hookimpl
def polygan_recipes():
    return [polygan.RecipeSpec("points/surveyed", "survey_gan:Surveyed", "points around the mean of the data")]


class Shift(nn.Module):
    """Adds a mean that no checkpoint holds."""

    def __init__(self, mean):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean), persistent=False)

    def forward(self, x):
        return x + self.mean


class Surveyed(toy_gan.MLPGAN):
    """Learns as its parent; the generator's points are moved by the mean of the training points."""

    @classmethod
    def survey(cls, config, domain, split):
        points = split.store.gather("point", split.rows)
        return {"mean": [10 * x for x in points.mean(0).tolist()], "size": 2, "looked_at": len(split)}

    def networks(self):
        found = super().networks()
        return {**found, "generator": nn.Sequential(found["generator"], Shift(self.info.get("mean", [0.0, 0.0])))}
