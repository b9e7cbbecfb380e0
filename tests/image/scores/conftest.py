"""A toy source and evaluations of generators of known faults."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from bars import CLASSES, DOMAIN, bars
from faked import Faked
from networks import Pool, save

from polygan import Samples
from polygan.data import build_store, split_store
from polygan_image.domain import ImageSettings


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    labels = np.arange(360) % CLASSES
    np.savez(folder / "bars.npz", images=bars(labels, 0), labels=labels)
    settings = ImageSettings(source=str(folder / "bars.npz"), cache=str(folder / "cache"))
    return split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0.25)


@pytest.fixture
def evaluate(splits, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "classifiers"

    def make(generate, **options):
        train = splits["train"]
        facts = {"cache": cache, "device": torch.device("cpu"), "samples": 180, "make": generate, **options}
        return Faked(DOMAIN, train.store.info, train, splits["held_out"], None, {}, **facts)

    return make


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 3), dtype=np.uint8)
    np.savez(folder / "noise.npz", images=images)  # without labels
    settings = ImageSettings(source=str(folder / "noise.npz"), cache=str(folder / "cache"))
    return split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0.4)


@pytest.fixture
def evaluation(unlabelled, tmp_path):
    def generate(n, seed):
        return Samples(torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed % 1000)) * 2 - 1, DOMAIN)

    train = unlabelled["train"]
    return Faked(
        DOMAIN, train.store.info, train, unlabelled["held_out"], None, {}, tmp_path / "cache",
        torch.device("cpu"), 40,
        features=save(Pool(), tmp_path / "pool.pt"), make=generate, allow_code=True,
    )  # fmt: skip
