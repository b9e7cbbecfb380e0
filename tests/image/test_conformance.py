"""Every recipe of pictures, the domain and its metrics are held to `polygan.testing`.

Left out are ``image/recognised``, ``image/diversity`` and ``image/layer-distance``: they train a network on the source, which takes
twelve seconds. ``image/flicker`` needs frames.
"""

import os
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from polygan.testing import Case, parametrize_with_checks

NARROW = {"generator_width": 4, "discriminator_width": 4, "latent_dim": 4}
TINY = {
    "image/dcgan": NARROW,
    "image/sngan": {**NARROW, "critic_steps": 2},
    "image/r3gan": {**NARROW, "depth": 1},
    "image/stylegan": {"channel_base": 64, "channel_max": 4, "latent_dim": 4},
}


def pictures(folder):
    """Two classes of noise, 20 pictures each."""
    rng = np.random.default_rng(0)
    for label in "ab":
        (folder / label).mkdir()
        for i in range(20):
            picture = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / label / f"{i}.png")
    return folder


def scans(folder):
    """Crops of 20 pictures of different sizes with five channels of int16."""
    rng = np.random.default_rng(0)
    for i in range(20):
        np.save(folder / f"{i}.npy", rng.integers(-900, 900, (34 + i % 3, 36, 5), dtype=np.int16))
    return {"source": str(folder), "crop": 32, "flip": True, "scale": 1.1}


def labelled(folder):
    return {"source": str(pictures(folder)), "labels": "folders"}


def halves(folder):
    """Pairs in halves of one picture: the right half is given and the left half is its negative."""
    rng = np.random.default_rng(0)
    for i in range(20):
        given = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(np.concatenate([255 - given, given], 1)).save(folder / f"{i}.png")
    return {"source": str(folder), "pairs": "right"}


PIX2PIX = {"width": 2, "depth": 2, "discriminator_width": 2, "discriminator_layers": 1}


def small_sides(folder):
    """Two classes of small pictures, dark and bright."""
    rng = np.random.default_rng(0)
    for label, low in (("dark", 0), ("bright", 120)):
        (folder / label).mkdir()
        for i in range(16):
            picture = rng.integers(low, low + 130, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / label / f"{i}.png")
    return folder


SIDES = {"width": 2, "blocks": 1, "discriminator_width": 2, "discriminator_layers": 1}
CUT = {**SIDES, "patches": 8, "projection_width": 4}
COLORIZE = {"width": 4, "depth": 2, "discriminator_width": 4, "discriminator_layers": 1}
ENLARGE = {"width": 2, "discriminator_width": 4, "discriminator_layers": 1, "regression_steps": 2}
PHASES = {"regression_steps": 2, "check_every": 2, "check_batches": 1}


def squares(folder):
    """Squares of 24 pixels, cut from pictures of two sizes."""
    rng = np.random.default_rng(0)
    for i in range(40):
        picture = rng.integers(0, 255, (32, 28 + i % 2, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.png")
    return {"source": str(folder), "crop": 24}


def grey(folder):
    """Colour to be made from grey."""
    return {"source": str(pictures(folder)), "pairs": "grey"}


class Pool(torch.nn.Module):
    """A feature network that takes no training: 4 x 4 means of each colour."""

    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)


FEATURES = Path(tempfile.gettempdir()) / f"polygan-features-{os.getpid()}/pool.pt"
RECIPES = [
    *(Case(name, pictures, model) for name, model in TINY.items()),
    Case("image/dcgan", scans, NARROW),
    Case("image/pix2pix", halves, PIX2PIX),
    Case("image/cyclegan", small_sides, SIDES),
    Case("image/cut", small_sides, CUT),
    Case("image/cut", small_sides, {**CUT, "fast": True, "up": "resize"}),
    Case("image/colorize", squares, COLORIZE | PHASES),
    Case("image/superres", squares, ENLARGE | {"width": 4, "depth": 1}),
    Case("image/superres", squares, ENLARGE | {"network": "rrdb", "degradation": "camera", "depth": 1, "growth": 2}),
]
METRICS = [
    Case(f"image/{name}", labelled, NARROW, "metric", "image/dcgan", {"features": str(FEATURES)})
    for name in ("frechet", "kid", "precision-recall", "density-coverage", "duplicates")
]
PAIRS = [
    Case(f"image/{name}", grey, PIX2PIX, "metric", "image/pix2pix")
    for name in ("psnr", "ssim", "mae", "colour-difference", "colour-distribution", "consistency")
]


@pytest.fixture(autouse=True, scope="module")
def _features():
    FEATURES.parent.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch.export takes the place of TorchScript
        torch.jit.save(torch.jit.script(Pool()), FEATURES)
    yield
    shutil.rmtree(FEATURES.parent)


DOMAINS = [Case("image", made, kind="domain") for made in (pictures, scans)]


@parametrize_with_checks([*RECIPES, *DOMAINS, *METRICS, *PAIRS])
def test_contract(check):
    check()
