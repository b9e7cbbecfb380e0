"""A recipe in halves: networks that know nothing of training, and the players that train them."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
import polygan
from polygan.training.trainer import Trainer
from toy_gan import MLPGAN, Config


class Batches:
    def batch(self, i):
        return {"point": torch.randn(8, 2, generator=torch.Generator().manual_seed(i))}


def trainer(recipe, **settings):
    return Trainer(
        recipe, {"train": Batches()}, polygan.TrainerSettings(steps=3, batch_size=8, hang_timeout=0, **settings)
    )


def test_making_networks_builds_no_optimizer(monkeypatch):
    monkeypatch.setattr(torch.optim.Adam, "__init__", lambda *_, **__: pytest.fail("an optimizer was built"))
    networks = MLPGAN(Config(), {}).networks()
    polygan.make_samples(MLPGAN(Config(), {}), networks, 4)


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


@pytest.mark.parametrize("seed", [0, 1])
def test_generating_and_training_leave_the_callers_generators_as_they_were(seed):
    """Otherwise two seeds of the caller give the same draws afterwards."""

    def seeded():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)

    recipe = MLPGAN(Config(), {})
    networks = recipe.networks()
    seeded()
    expected = draws()
    for act in (
        lambda: polygan.make_samples(recipe, networks, 3, seed=5),
        lambda: trainer(recipe),
        lambda: trainer(recipe).fit(),
    ):
        seeded()
        act()
        assert draws() == expected


def test_seeds_of_generation_do_not_depend_on_the_callers_generators():
    recipe = MLPGAN(Config(), {})
    networks = recipe.networks()
    torch.manual_seed(1)
    first = polygan.make_samples(recipe, networks, 3, seed=5).data
    torch.manual_seed(2)
    assert torch.equal(polygan.make_samples(recipe, networks, 3, seed=5).data, first)


def test_capabilities_are_told_by_what_a_recipe_can_do():

    assert isinstance(MLPGAN(Config(), {}), polygan.HasCritic)
    assert not isinstance(MLPGAN(Config(), {}), polygan.HasStream | polygan.HasLikelihood)
