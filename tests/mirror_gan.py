"""A plugin for the core's tests: a recipe that makes points of given points, and formats of its weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

import polygan
import toy_gan


@polygan.hookimpl
def polygan_recipes():
    return [polygan.RecipeSpec("points/mirror", "mirror_gan:Mirror", "points to points")]


@polygan.hookimpl
def polygan_formats():
    return [
        polygan.FormatSpec("points/mirror", "npy", "export", "mirror_gan:to_npy", "the first layer as .npy"),
        polygan.FormatSpec(
            "*", "sum", "export", "mirror_gan:to_sum", "the sum of a .npy file as text", made_from="npy"
        ),
        polygan.FormatSpec("points/mirror", "pt", "import", "mirror_gan:from_npy", "tensors of the generator"),
    ]


@dataclass(frozen=True)
class Sampling:
    scale: float = 1.0


class Mirror(toy_gan.MLPGAN):
    """Learns as its parent; what is given comes back mirrored."""

    given = "points"
    Sampling = Sampling

    def preview(self):
        return 8, Sampling()

    def generate(self, networks, request):
        return polygan.Samples(-request.options.scale * request.given.data)


def to_npy(recipe, networks, path):
    np.save(path, networks["generator"][0].weight.numpy())
    return [path]


def to_sum(recipe, files, path):
    path.write_text(f"{type(recipe).__name__} {files[0].name} {np.load(files[0]).sum()}")
    return [path]


def from_npy(path):
    tensors = torch.load(path, weights_only=True)
    return polygan.ImportedWeights({"width": int(tensors["0.bias"].shape[0])}, {"size": 2}, {"generator": tensors})
