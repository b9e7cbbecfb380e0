"""Checkpoints with valid checksums that no trainer wrote: each gives way to an older checkpoint, with a line that names it."""

from __future__ import annotations

import functools
import json
import math
import os
import re
from pathlib import Path

import pytest
import torch
from checkpoint_files import two
from toy_trainer import make, train

from polygan.errors import CheckpointError
from polygan.training import checkpoint
from polygan.training.checkpoint import Checkpoints


def swap(place, value):
    def change(training):
        inner = training
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value

    return change


G = ("actors", "generator")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swap(("step",), 7), "it is of step 7"),
        (swap(("samples",), -1), "samples is -1"),
        (swap(("rollbacks",), "x"), "rollbacks is 'x'"),
        (swap(("seconds",), math.nan), "seconds is nan"),
        (swap(("actors",), []), "does not fit this recipe"),
        (swap(G, None), "does not fit this recipe"),
        (swap((*G, "counters"), torch.full((4,), math.nan)), "the counters are not finite"),
        (swap((*G, "counters"), torch.zeros(2)), "does not fit this recipe"),
        (swap((*G, "optimizer", "param_groups"), []), "does not fit this recipe"),
        (swap((*G, "optimizer", "param_groups", 0, "lr"), "fast"), "optimizer.lr is of type str instead of float"),
        (swap((*G, "optimizer", "param_groups", 0, "lr"), math.nan), "optimizer.lr is not a number"),
        (swap((*G, "optimizer", "param_groups", 0, "betas"), (0.9, "x")), r"optimizer\.betas\.1 is of type str"),
        (
            swap((*G, "optimizer", "state", 0, "exp_avg"), torch.zeros(3)),
            r"exp_avg does not fit its parameter of shape",
        ),
        (swap((*G, "optimizer", "state", 0, "exp_avg_sq"), 1.0), "exp_avg_sq does not fit its parameter"),
        (swap((*G, "scheduler", "last_epoch"), []), "scheduler.last_epoch is of type list instead of int"),
        (swap((*G, "scheduler", "step"), 1), "scheduler.step is no value"),
    ],
)
def test_a_training_state_of_another_shape_gives_way_to_an_older_checkpoint(tmp_path, change, words):
    said = []
    checkpoints = Checkpoints(tmp_path, warn=said.append)
    trainer = train(checkpoints=checkpoints, steps=4, save_every=2)
    newest = checkpoints.load()
    change(newest.training)
    checkpoints.save(4, newest.networks, newest.training, seed=0, good=True)
    other = make(checkpoints=checkpoints)
    assert checkpoints.load(use=other.restore).step == other.step == 2
    (line,) = said
    assert re.search(words, line)
    assert "step-00000004" in line
    assert line.endswith("trying an older checkpoint")
    assert trainer.step == 4


@pytest.mark.parametrize(
    "change",
    [
        {"step": "20"},
        {"step": -1},
        {"step": True},
        {"good": 1},
        {"files": []},
        {"files": {}},
        {"files": {"training.json": None}},
        {"files": {"training.json": {"size": "1", "sha256": ""}}},
        {"files": {"training.json": {"size": 1, "sha256": 2}}},
        {"files": {"other.bin": {"size": 1, "sha256": ""}}},
        {"seed": 10**400},
        {"x": functools.reduce(lambda inner, _: [inner], range(100), [])},
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_manifest_of_other_types_gives_way_to_an_older_checkpoint(tmp_path, change):
    path, said = two(tmp_path), []
    facts = {**json.loads((path / "manifest.json").read_text()), **change}
    del facts["sha256"]
    (path / "manifest.json").write_text(json.dumps({**facts, "sha256": checkpoint._digest(facts)}))
    assert Checkpoints(tmp_path, warn=said.append).load().step == 10
    (line,) = said
    assert "step-00000020" in line


@pytest.mark.parametrize("name", ["manifest.json", "training.json", "g.safetensors"])
@pytest.mark.parametrize("make_odd", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_a_checkpoint_of_links_and_pipes_gives_way_to_an_older_one(tmp_path, name, make_odd):
    path, said = two(tmp_path), []
    (path / name).unlink()
    make_odd(path / name)
    assert Checkpoints(tmp_path, warn=said.append).load().step == 10
    assert re.search("step-00000020.*it is a (pipe|symbolic link|folder)", *said)


def test_a_checkpoint_behind_a_link_out_of_the_run_is_not_read(tmp_path):
    path = two(tmp_path / "run/checkpoints")
    path.rename(tmp_path / "mine")
    path.symlink_to(tmp_path / "mine")
    said = []
    assert Checkpoints(tmp_path / "run/checkpoints", warn=said.append).load().step == 10
    assert "a symbolic link that leads out of" in said[0]


def test_a_file_larger_than_the_network_needs_is_not_read(tmp_path):
    two(tmp_path)
    with pytest.raises(CheckpointError, match=r"g\.safetensors has 4,\d+ bytes, and this recipe's g needs at most 100"):
        Checkpoints(tmp_path, warn=lambda _: None).load(needs={"g": 100, "other": 1})
    assert Checkpoints(tmp_path).load(needs={"g": 5_000}).step == 20
