"""Scores on other data than a run's: of exported models too, with nothing in the log."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from toy_runs import command, records, train

import polygan
import toy_gan
from polygan.runs.given import on_other_data

pytestmark = pytest.mark.usefixtures("toys")


@pytest.fixture
def far(tmp_path):
    """Points that lie ten times as far apart as those of the ring."""
    np.save(tmp_path / "far.npy", 10 * np.random.default_rng(0).standard_normal((40, 2)))
    return str(tmp_path / "far.npy")


def test_an_exported_model_is_scored_on_data_that_is_named(far, capsys):
    run = train(name="a", steps=1)
    weights = str(run.export("model")[0])
    own = run.evaluate(quiet=True)[0]
    before = len(records(run))
    out = command("evaluate", weights, "--data", far, "--json", capsys=capsys).out
    assert json.loads(out)[0]["value"] > own.value + 5
    assert run.evaluate(data=far, quiet=True)[0].value == pytest.approx(json.loads(out)[0]["value"], rel=1e-4)
    assert len(records(run)) == before
    assert not Path("log.jsonl").exists()
    assert not Path("model/log.jsonl").exists()
    assert f"on {far}" in command("evaluate", weights, "--data", far, capsys=capsys).out
    assert "name some with --data PATH" in command("evaluate", weights, code=2, capsys=capsys).err
    assert "neither a path" in command("evaluate", weights, "--data", "nowhere.npy", code=1, capsys=capsys).err


def test_all_samples_are_held_out_where_a_recipe_makes_them_from_something_given(far, monkeypatch):
    job = train(name="a", steps=1)._job
    assert len(on_other_data(job, far).splits["train"]) == 36
    monkeypatch.setattr(toy_gan.MLPGAN, "given", "points")
    found = on_other_data(job, far)
    assert [len(found.splits[name]) for name in ("train", "held_out")] == [40, 40]
    assert len(job.splits["held_out"]) == 51


def test_data_is_read_as_the_networks_need_it(far, monkeypatch):
    monkeypatch.setattr(toy_gan.MLPGAN, "inherited", classmethod(lambda *_: {"data.held_out": 0.5, "model.width": 1}))
    job = on_other_data(train(name="a", steps=1)._job, far)
    assert len(job.splits["held_out"]) == 20
    assert job.settings.model.width == 16
    assert polygan.load("runs/a").settings.data.source == "ring"
