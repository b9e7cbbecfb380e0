"""Every recipe of pictures, the domain, its data sets and its metrics are held to `polygan.testing`."""

import numpy as np
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


RECIPES = [Case(name, pictures, model) for name, model in TINY.items()]


@parametrize_with_checks([*RECIPES, Case("image", pictures, kind="domain")])
def test_contract(check):
    check()
