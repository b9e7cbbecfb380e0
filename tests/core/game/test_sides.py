"""Turns with batches of several streams: what the loss gets, resuming, accumulation."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(TESTS))
import polygan
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
