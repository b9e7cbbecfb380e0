"""An evaluation makes samples by seed from the networks that a metric asks for, and makes costly values once."""

from __future__ import annotations

import pytest
import torch

import polygan
from polygan.scoring.evaluation import Evaluation
from toy_gan import MLPGAN, Config, Points


def evaluation(**options):
    recipe = MLPGAN(Config(), {})
    facts = {"domain": Points(), "info": {}, "train": None, "held_out": None, "cache": None}
    facts |= {"recipe": recipe, "networks": recipe.networks(), "device": torch.device("cpu")}
    return Evaluation(**{**facts, **options})


def test_samples_are_those_of_the_seed_and_of_the_networks_that_are_asked_for():
    own, other = evaluation(), MLPGAN(Config(), {}).networks()
    assert len(own.generate(3, 1)) == 3
    assert torch.equal(own.generate(3, 1).data, own.generate(3, 1).data)
    assert not torch.equal(own.generate(3, 1).data, own.generate(3, 2).data)
    expected = polygan.make_samples(own.recipe, other, 3, 1).data
    assert torch.equal(own.generate(3, 1, networks=other).data, expected)
    assert not torch.equal(own.generate(3, 1).data, expected)
    assert isinstance(own.generate(3, 1).domain, Points)  # so that a metric can save them


def test_samples_are_made_with_the_options_of_the_evaluation_unless_a_metric_says_others():
    plain, wide = evaluation(), evaluation(options=MLPGAN.Sampling(scale=3.0))
    expected = polygan.make_samples(wide.recipe, wide.networks, 3, 1, MLPGAN.Sampling(scale=3.0)).data
    assert torch.equal(wide.generate(3, 1).data, expected)
    usual = polygan.make_samples(wide.recipe, wide.networks, 3, 1).data
    assert torch.equal(wide.generate(3, 1, MLPGAN.Sampling()).data, usual)
    assert (plain.told, wide.told) == ("", " (scale 3.0)")
    assert evaluation(options=MLPGAN.Sampling()).told == ""


def test_a_costly_value_is_made_once_a_key_for_all_evaluations_of_a_run():
    shared = {}
    first, second = evaluation(kept=shared), evaluation(kept=shared)
    made = []

    def make():
        made.append(None)

    for asked in (first, second):
        assert asked.once("none", make) is None  # a value that is false counts too
    assert len(made) == 1
    assert second.once(("a", 1), lambda: "other") == "other"
    assert first.once(("a", 1), pytest.fail) == "other"
    assert evaluation().once("none", lambda: "of another run") == "of another run"
