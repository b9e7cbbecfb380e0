"""Stores of scenes in pairs, made once."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from scenes import DOMAIN, Paired, Turned, scenes, sides_of, splits_of


@pytest.fixture(scope="session")
def grey(tmp_path_factory):
    return splits_of(tmp_path_factory.mktemp("grey"), scenes(), pairs="grey")


@pytest.fixture(scope="session")
def smaller(tmp_path_factory):
    return splits_of(tmp_path_factory.mktemp("smaller"), scenes(), pairs="smaller")


@pytest.fixture(scope="session")
def frames(tmp_path_factory):
    """A ball that moves by a pixel from frame to frame, in front of one scene after another."""
    backgrounds = scenes(4).repeat(24, 0)
    for i, frame in enumerate(backgrounds):
        frame[4:9, i % 19 : i % 19 + 5] = 250
    return splits_of(tmp_path_factory.mktemp("frames"), np.ascontiguousarray(backgrounds), pairs="grey")


@pytest.fixture(scope="session")
def sides(tmp_path_factory):
    """Makes evaluations of a recipe with two sides, whose pictures a function of the given pictures makes."""
    info, splits, parts = sides_of(tmp_path_factory.mktemp("sides"))

    def made(make, cache=None, recipe=Turned, kind=Paired):
        facts = {"samples": 100, "device": torch.device("cpu"), "cache": cache, "splits": splits}
        return kind(DOMAIN, info, parts["train"], parts["held_out"], recipe(None, info), {}, make=make, **facts)

    return made
