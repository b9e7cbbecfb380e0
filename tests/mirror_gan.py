"""A plugin for the core's tests: a recipe that translates points instead of making them from noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

import polygan
import toy_gan


@polygan.hookimpl
def polygan_recipes():
    return [polygan.RecipeSpec("points/mirror", "mirror_gan:Mirror", "points to points")]


@dataclass(frozen=True)
class Sampling:
    scale: float = 1.0


class Mirror(toy_gan.MLPGAN):
    """Learns as its parent; its generator is heard only through translate."""

    translates = True
    formats = ("npy",)
    Sampling = Sampling

    def preview(self):
        return 8, Sampling()

    def translate(self, networks, inputs, noise, options):
        return polygan.Samples(-options.scale * inputs.data, inputs.domain)

    def convert(self, networks, source, out, options):
        for path in sorted(source.glob("*.npy")):
            out.mkdir(parents=True, exist_ok=True)
            np.save(out / path.name, -options.scale * np.load(path))
            yield out / path.name

    def export_as(self, networks, kind, path):
        np.save(path, networks["generator"][0].weight.numpy())
        return [path]

    @classmethod
    def import_weights(cls, path):
        tensors = torch.load(path, weights_only=True)
        return {"width": int(tensors["0.bias"].shape[0])}, {"size": 2}, {"generator": tensors}
