"""Turns with batches of several streams, and the classes that a recipe with two sides takes and makes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(TESTS))
import polygan
from polygan.game.recipe import compared, of_class, sides_of
from polygan.game.sampling import given_of, shown_beside
from polygan.plugins import load_catalogue, set_catalogue
from polygan.testing import Case, parametrize_with_checks
from polygan.training.trainer import Trainer

FILES = (TESTS / "toy_gan.py", TESTS / "sides_gan.py")


@pytest.fixture(autouse=True)
def _toys(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    set_catalogue(load_catalogue(files=FILES))
    yield
    set_catalogue(None)


@parametrize_with_checks([Case("points/sides", "sides", plugins=FILES)])
def test_conformance(check):
    check()


def train(**settings):
    settings = {"steps": 6, "quiet": True, "precision": "fp32", "hang_timeout": 0, "save_every": 2, **settings}
    return polygan.train("points/sides", "sides", **settings)


def parameters(run):
    return torch.cat([p.flatten() for n in run.networks.values() for p in n.parameters()])


def test_resumed_is_uninterrupted_to_the_bit():
    whole = train(name="whole")
    train(name="part", steps=3)
    assert torch.equal(parameters(polygan.resume("runs/part", steps=6, quiet=True)), parameters(whole))


def test_micro_batches_add_up_to_the_batch():
    one, four = train(name="one"), train(name="four", accumulate=4)
    torch.testing.assert_close(parameters(four), parameters(one), rtol=0, atol=1e-6)


def test_the_loss_gets_one_batch_of_each_stream_in_their_order():
    run, seen = train(steps=1), []
    streams = polygan.Streams(run.splits(), run.domain, 16, 0)

    def spy(ctx, outer, inner):
        seen.append((outer["label"].tolist(), inner["label"].tolist()))
        return {"x": ctx["generator"][0].weight.sum()}

    recipe = run.recipe
    recipe.turns = lambda: [polygan.Turn("t", ("generator",), spy, data=("train/outer", "train/inner"))]
    Trainer(recipe, streams, polygan.TrainerSettings(steps=1, batch_size=16, hang_timeout=0)).iterate()
    assert seen == [([1] * 16, [0] * 16)]


def test_a_stream_that_is_not_there_is_named():
    run = train(steps=1)
    streams = polygan.Streams(run.splits(), run.domain, 16, 0)
    run.recipe.turns = lambda: [polygan.Turn("t", ("generator",), run.recipe.g, data=("train", "train/zebra"))]
    with pytest.raises(
        polygan.ConfigError, match="needs the stream 'train/zebra'; this run has train, train/inner, train/outer"
    ):
        Trainer(run.recipe, streams, polygan.TrainerSettings(steps=1, batch_size=16, hang_timeout=0))


def short():
    """A run whose held-out points are of both classes."""
    data = {"source": "sides", "held_out": 0.4}
    return polygan.train("points/sides", data, steps=1, quiet=True, precision="fp32", hang_timeout=0)


def inner_or_outer(split):
    return set(split.store.gather("label", split.rows).tolist())


def test_samples_of_one_class_keep_their_order():
    held_out = short().splits()["held_out"]
    outer = of_class(held_out, "outer")
    assert inner_or_outer(outer) == {1}
    assert outer.rows.tolist() == [r for r in held_out.rows if r in set(outer.rows)]
    assert len(of_class(held_out, "inner")) + len(outer) == len(held_out)


def test_the_class_that_is_translated_is_given_and_the_class_that_is_made_is_shown_beside():
    run = short()
    recipe, splits, domain = run.recipe, run.splits(), run.domain
    given = given_of(recipe, domain, splits, 4)
    inner = of_class(splits["held_out"], "inner")
    assert len(given) == 4
    assert torch.equal(given.data, domain.given(splits["held_out"], inner.rows[:4]).data)
    made = polygan.make_samples(recipe, run.networks, 4, given=given, domain=domain)
    shown = shown_beside(recipe, domain, splits, made)
    outer = of_class(splits["held_out"], "outer")
    assert torch.equal(shown.data, domain.real(splits["held_out"], outer.rows[:4]).data)


def test_options_turn_the_sides_round():
    run = short()
    run.recipe.sides = lambda options: polygan.Sides(*(("outer", "inner") if options == "back" else ("inner", "outer")))
    splits = run.splits()
    given = given_of(run.recipe, run.domain, splits, 3, "back")
    outer = of_class(splits["held_out"], "outer")
    assert len(given) == 3
    assert torch.equal(given.data, run.domain.given(splits["held_out"], outer.rows[:3]).data)
    assert inner_or_outer(compared(run.recipe, splits, "back")["train"]) == {0}
    assert inner_or_outer(compared(run.recipe, splits)["train"]) == {1}


def test_training_samples_are_given_where_the_class_has_none_held_out():
    run = short()
    splits = run.splits()
    rows = of_class(splits["held_out"], "outer").rows
    splits["held_out"] = polygan.Split(splits["held_out"].store, rows, "held_out")
    given = given_of(run.recipe, run.domain, splits, 5)
    inner = of_class(splits["train"], "inner")
    assert len(given) == 5
    assert torch.equal(given.data, run.domain.given(splits["train"], inner.rows[:5]).data)


def test_scores_compare_what_is_made_with_its_own_class(tmp_path):
    run = short()
    splits = run.splits()
    parts = compared(run.recipe, splits)
    evaluation = polygan.Evaluation(
        run.domain, {}, **parts, splits=splits, recipe=run.recipe, networks=run.networks, cache=tmp_path, device="cpu"
    )
    assert inner_or_outer(evaluation.train) == inner_or_outer(evaluation.held_out) == {1}
    assert evaluation.sides == ("inner", "outer")
    made = evaluation.generate(3, 0)
    given = given_of(run.recipe, run.domain, splits, 3)
    again = polygan.make_samples(run.recipe, run.networks, 3, given=given)
    assert torch.equal(made.data, again.data)


def test_a_recipe_of_noise_has_no_sides():
    recipe = polygan.Recipe(None, {})
    assert sides_of(recipe) is None
    splits = {"train": polygan.Split(None, np.arange(3), "train")}
    assert compared(recipe, splits) == splits
