"""Small coloured scenes in pairs, and evaluations whose pictures are made by a function of the given pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch

from polygan import Evaluation, Recipe, Samples, Sides
from polygan.data import build_store, split_store
from polygan.game.recipe import compared
from polygan_image.domain import ImageDomain, ImageSettings

DOMAIN = ImageDomain()
SIDE = 24


def scenes(n=40, seed=0):
    """uint8 (n, 24, 24, 3): a sky over ground of many colours, and a ball."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, SIDE, SIDE, 3))
    y, x = np.mgrid[:SIDE, :SIDE]
    for image in images:
        ground = rng.integers(8, 16)
        image[:ground] = rng.integers(60, 255, 3)
        image[ground:] = rng.integers(20, 200, 3)
        ball = (y - rng.integers(5, 19)) ** 2 + (x - rng.integers(5, 19)) ** 2 < 25
        image[ball] = rng.integers(0, 255, 3)
    return (images + rng.normal(0, 4, images.shape)).clip(0, 255).astype(np.uint8)


def splits_of(folder, images, held_out=0.4, **settings):
    """The splits of pictures (n, H, W[, C])."""
    np.savez(folder / "scenes.npz", images=images)
    settings = ImageSettings(source=str(folder / "scenes.npz"), cache=str(folder / "cache"), **settings)
    return split_store(build_store(DOMAIN.open(settings), settings, progress=False), held_out)


class Made(Recipe):
    """A recipe of pictures from pictures."""

    domain = given = "image"
    variants: ClassVar = MappingProxyType({})


class Started(Made):
    """The same with a network from which its game began."""

    variants: ClassVar = MappingProxyType({"start": {"generator": "start"}})


@dataclass(frozen=True)
class To:
    """Options of a recipe with two sides."""

    to: str = ""


class Turned(Made):
    """Pictures of the class a become pictures of the class b, or the other way round."""

    Sampling: ClassVar = To

    def sides(self, options):
        return Sides("b", "a") if options.to == "a" else Sides("a", "b")


@dataclass
class Paired(Evaluation):
    """``make(given)`` makes pictures (n, C, H, W) of given ones, and ``start(given)`` those of the network ``start``."""

    make: Callable[[torch.Tensor], torch.Tensor] | None = None
    start: Callable[[torch.Tensor], torch.Tensor] | None = None

    def generate(self, n, seed, options=None, *, networks=None, given=None):
        make = self.start if "generator" in (networks or {}) else self.make
        return Samples(make(given.data), DOMAIN)


def evaluation(splits, make, cache=None, recipe=Made, **options):
    info = splits["train"].store.info
    facts = {"samples": 100, "device": torch.device("cpu"), "cache": cache, **options}
    made = recipe(None, info)
    return Paired(
        DOMAIN, info, splits["train"], splits["held_out"], made, {"start": torch.nn.Identity()}, make=make, **facts
    )


def truth_of(splits):
    """The held-out pictures in the order of the pairs."""
    return DOMAIN.real(splits["held_out"], splits["held_out"].rows).data


def by(found):
    """Scores by name."""
    return {score.name: score for score in found}


def sides_of(folder, recipe=Turned):
    """Light scenes, the class a, and dark blue ones, the class b: the facts, all splits, and the splits of the class that is made."""
    n = 40
    dark = (scenes(n, 1) * np.array([0.3, 0.5, 0.9])).astype(np.uint8)
    np.savez(folder / "sides.npz", images=np.concatenate([scenes(n), dark]), labels=np.repeat([0, 1], n))
    settings = ImageSettings(source=str(folder / "sides.npz"), cache=str(folder / "cache"))
    splits = split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0.4)
    info = splits["train"].store.info
    info["classes"] = ["a", "b"]
    return info, splits, compared(recipe(None, info), splits)
