"""Short runs of several domains, the page of each behind a server on the loopback address, and their catalogue."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "demo")]  # toy_runs, the toys and demo_pages are modules of these folders

import numpy as np
import toy_runs
from demo_pages import catalogue, inside
from PIL import Image

import polygan

CLASSES = ["<b>bold", "${1+1}", "plain"]
"""The names of the classes of pictures: two of them would be markup or code in a careless page."""


@pytest.fixture(autouse=True, scope="module")
def _toys():
    from polygan.plugins import set_catalogue

    catalogue()
    yield
    set_catalogue(None)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with pictures in folders by class, and lines of text; runs are trained here."""
    folder = tmp_path_factory.mktemp("demo")
    rng = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            values = rng.integers(0, 80, (16, 16, 3)) + 80 * number
            Image.fromarray(values.astype("uint8")).save(folder / "pictures" / name / f"{i}.png")
    words = ["a small dog runs", "the <i>red</i> cat sleeps", "two birds sing", "one fish swims"]
    (folder / "lines.txt").write_text("\n".join(f"{w} {n}" for n in "abcdefghij" for w in words), encoding="utf-8")
    return folder


def trained(place, recipe, data, **kw):
    usual = {"steps": 1, "quiet": True, "precision": "fp32", "hang_timeout": 0, "evaluate_every": 0}
    catalogue()
    with inside(place):
        folder = polygan.train(recipe, data, **{**usual, **kw}).folder
        return folder.absolute()


@pytest.fixture(scope="session")
def toy(place):
    catalogue()
    with inside(place):
        run = toy_runs.train(steps=4, batch_size=8, evaluate_every=4, name="toy", evaluate_samples=16)
        return run.folder.absolute()


@pytest.fixture(scope="session")
def pictures(place):
    model = {"generator_width": 8, "discriminator_width": 8, "latent_dim": 6}
    data = {"source": str(place / "pictures"), "labels": "folders"}
    return trained(place, "image/dcgan", data, batch_size=4, name="pictures", model=model)


@pytest.fixture(scope="session")
def styled(place):
    model = {"latent_dim": 8, "mapping_layers": 2, "channel_base": 64, "channel_max": 4}
    data = {"source": str(place / "pictures"), "labels": "folders", "resolution": 32}
    return trained(place, "image/stylegan", data, batch_size=4, name="styled", model=model)


@pytest.fixture(scope="session")
def grey(place):
    data = {"source": str(place / "pictures"), "pairs": "grey"}
    return trained(
        place, "image/pix2pix", data, batch_size=2, name="grey", model={"width": 4, "discriminator_layers": 1}
    )


@pytest.fixture(scope="session")
def lines(place):
    return trained(place, "text/seqgan", str(place / "lines.txt"), batch_size=4, name="lines")
