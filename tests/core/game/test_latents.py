"""Latents of a caller take the place of those that a seed draws; what does not fit is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import polygan
from polygan.game.recipe import count_of
from polygan.game.sampling import make_samples, seeded_noise
from polygan.seeding import Latents
from toy_gan import MLPGAN, Config


@pytest.fixture
def gan():
    recipe = MLPGAN(Config(), {})
    torch.manual_seed(0)
    return recipe, recipe.networks()


def test_latents_of_a_seed_give_the_samples_of_the_seed(gan):
    latents = seeded_noise(3).normal(5, 4)
    wanted = make_samples(*gan, 5, 3)
    assert torch.equal(make_samples(*gan, 5, 0, latents=latents).data, wanted.data)
    torch.testing.assert_close(make_samples(*gan, 2, 0, latents=latents[3:].tolist()).data, wanted.data[3:])


def test_further_numbers_are_those_of_the_seed():
    usual, given = seeded_noise(1), Latents(torch.zeros(2, 3), 1)
    usual.normal(2, 3)
    assert torch.equal(given.normal(2, 3), torch.zeros(2, 3))
    assert torch.equal(given.normal(2, 3), usual.normal(2, 3))
    assert torch.equal(given.uniform(2), usual.uniform(2))


def test_latents_of_another_shape_are_named(gan):
    with pytest.raises(polygan.ConfigError, match=r"latents have shape \(2, 9\), and this run takes \(n, 4\)"):
        make_samples(*gan, 2, latents=torch.zeros(2, 9))
    with pytest.raises(polygan.ConfigError, match="latents are no numbers"):
        make_samples(*gan, 2, latents="ab")


def test_latents_that_do_not_fit_the_call_are_named(gan):
    recipe, _ = gan
    assert (count_of(recipe, 7, None), count_of(recipe, None, torch.zeros(3, 4))) == (7, 3)
    for n, latents, message in ((2, torch.zeros(3, 4), "n = 2 and 3 latents"), (None, [], "latents hold no row")):
        with pytest.raises(polygan.ConfigError, match=message):
            count_of(recipe, n, latents)
    taking = type("Taking", (MLPGAN,), {"given": "points"})(Config(), {})
    with pytest.raises(polygan.ConfigError, match="Taking makes samples from points; leave latents out"):
        count_of(taking, None, torch.zeros(3, 4))


def test_a_recipe_without_normal_latents_says_so(gan):
    class Flat(MLPGAN):
        def generate(self, networks, request):
            return polygan.Samples(request.noise.uniform(request.n, 2))

    with pytest.raises(polygan.ConfigError, match="Flat makes samples from no normal latents"):
        make_samples(Flat(Config(), {}), {"generator": nn.Linear(1, 1)}, 2, latents=torch.zeros(2, 4))
