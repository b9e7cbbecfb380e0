"""Every recipe of pictures, the domain and its metrics are held to `polygan.testing`.

Left out are ``image/recognised`` and ``image/diversity``: they train a classifier of the source, which takes twelve seconds.
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


class Pool(torch.nn.Module):
    """A feature network that takes no training: 4 x 4 means of each colour."""

    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)


FEATURES = Path(tempfile.gettempdir()) / f"polygan-features-{os.getpid()}/pool.pt"
RECIPES = [Case(name, pictures, model) for name, model in TINY.items()]
RECIPES.append(Case("image/dcgan", scans, NARROW))
METRICS = [
    Case(f"image/{name}", labelled, NARROW, "metric", "image/dcgan", {"features": str(FEATURES)})
    for name in ("frechet", "kid", "precision-recall", "density-coverage", "duplicates")
]


@pytest.fixture(autouse=True, scope="module")
def _features():
    FEATURES.parent.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch.export takes the place of TorchScript
        torch.jit.save(torch.jit.script(Pool()), FEATURES)
    yield
    shutil.rmtree(FEATURES.parent)


@parametrize_with_checks([*RECIPES, *(Case("image", made, kind="domain") for made in (pictures, scans)), *METRICS])
def test_contract(check):
    check()
