"""Other networks of a run to generate from: the best checkpoint, and the networks that a recipe names."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from toy_runs import command, train

import polygan
from polygan.game.recipe import swapped
from polygan.runs.networks.building import best_step
from polygan.training.checkpoint import Checkpoints

pytestmark = pytest.mark.usefixtures("toys")


def scored(folder, scores):
    """Give the checkpoints these scores, by step."""
    checkpoints = Checkpoints(folder / "checkpoints", keep=9)
    for step, score in scores.items():
        found = checkpoints.load(step if step in {e.step for e in checkpoints.entries()} else None)
        networks = {name: {key: value + step for key, value in state.items()} for name, state in found.networks.items()}
        checkpoints.save(step, networks, {**found.training, "step": step}, seed=0, good=True, score=score)


def test_best_is_the_checkpoint_with_the_lowest_score(capsys):
    run = train(steps=1, save_every=1)
    scored(run.folder, {2: 0.5, 3: 0.25, 4: 0.25, 5: None})
    assert best_step(run.folder) == 4
    best, wanted = run.variant("best"), polygan.load(run.folder, step=4)
    assert best.step == 4
    assert torch.equal(best.generate(3).data, wanted.generate(3).data)
    assert torch.equal(run.generate(3, of="best").data, wanted.generate(3).data)
    assert not torch.equal(run.generate(3).data, wanted.generate(3).data)
    words = ("generate", run.folder, "-n", 3, "--out", "-")
    lines = [command(*words, *more, capsys=capsys).out for more in (("--of", "best"), ("--step", 4), ())]
    assert lines[0] == lines[1] != lines[2]
    assert "leave one of them out" in command(*words, "--of", "best", "--step", 4, code=2, capsys=capsys).err


def test_names_that_there_are_not_are_refused_with_those_that_there_are(capsys):
    run = train(steps=1)
    with pytest.raises(
        polygan.ConfigError, match=r"of = 'bset': points/mlp saves no networks .*\(did you mean 'best'\?\)"
    ):
        run.generate(2, of="bset")
    message = command("generate", run.folder, "--of", "best", code=2, capsys=capsys).err
    assert "has a score; train with --evaluate_every N" in message
    assert not (run.folder / "generated").exists()


def test_a_recipe_names_networks_that_stand_in_for_others(monkeypatch):
    run = train(steps=1)
    monkeypatch.setattr(type(run.recipe), "variants", {"plain": {"generator": "held.inner"}})
    inner = nn.Linear(4, 2)
    held = nn.Module()
    held.inner = inner
    run.networks = {**run.networks, "held": held}
    assert run.variant("plain").networks["generator"] is inner
    assert run.networks["generator"] is not inner
    assert not torch.equal(run.generate(3, of="plain").data, run.generate(3).data)
    assert swapped(run.networks, {"a": "held"})["a"] is held


def test_a_notebook_shows_the_newest_samples_of_a_run():
    run = train(steps=1, sample_every=1)
    page = run._repr_html_()
    assert "Run(" in page
    assert "&lt;points&gt;" in page
    (newest,) = run.folder.glob("samples/step-*")
    (newest / "pieces.json").write_text("{")
    assert "<figure>" not in run._repr_html_()
