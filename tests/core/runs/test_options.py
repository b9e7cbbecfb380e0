"""The keywords of `polygan.train` for editors and type checkers."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from shutil import which
from typing import get_args, get_type_hints

import pytest

import polygan
from polygan.runs.handed.networks import NetworksConfig
from polygan.runs.options import NetworkOptions, RunOptions, TrainOptions
from polygan.settings.trainer import RunSettings


def test_the_keywords_of_train_are_the_settings_of_a_run_with_their_types():
    types = get_type_hints(RunSettings)
    assert list(get_type_hints(RunOptions).items()) == [(f.name, types[f.name]) for f in fields(RunSettings)]
    assert RunOptions.__required_keys__ == frozenset()
    assert inspect.signature(polygan.train).parameters["settings"].annotation == "Unpack[TrainOptions]"
    assert get_type_hints(TrainOptions) == get_type_hints(RunOptions) | get_type_hints(NetworkOptions)


def test_the_keywords_for_two_networks_are_the_settings_of_their_recipe():
    types, keywords = get_type_hints(NetworksConfig), get_type_hints(NetworkOptions)
    assert list(keywords) == [f.name for f in fields(NetworksConfig)]
    assert {k: v for k, v in keywords.items() if k != "loss"} == {k: types[k] for k in keywords if k != "loss"}
    losses = {name.replace("-", "_") for name in get_args(keywords["loss"])} - {"non_saturating"}
    assert losses == set(get_args(types["loss"])) == set(polygan.losses.ADVERSARIAL)


GOOD = """
import numpy as np
import torch
from torch import nn

import polygan

networks = (nn.Linear(2, 2), nn.Linear(2, 1))
points = torch.zeros(10, 2)
run = polygan.train(networks, points, loss="hinge", latent_dim=2, steps=100, betas=(0.0, 0.9))
polygan.train("image/dcgan", "mnist-5k", batch_size=8)
polygan.train(networks, (np.zeros((4, 2)), [0, 1, 0, 1]), latent_dim=(2, 1, 1), listeners=[polygan.Listener()])
polygan.train((lambda: nn.Linear(2, 2), lambda: nn.Linear(2, 1)), [points[0], points[1]])
polygan.load(run.folder, networks=networks).generate(8).save("out.npy")
"""
MISTAKES = [
    "polygan.train(networks, points, stepz=100)",
    'polygan.train(networks, points, loss="hings")',
    'polygan.train(networks, points, steps="many")',
    "polygan.train((nn.Linear(2, 2),), points)",
    "polygan.resume(run.folder, listener=[])",
]


def checker():
    """basedpyright or pyright, beside this Python or on the path; None without both."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return which("basedpyright", path=beside) or which("pyright", path=beside)


@pytest.mark.skipif(checker() is None, reason="neither basedpyright nor pyright is installed")
def test_an_editor_finds_five_planted_mistakes_and_no_others(tmp_path):
    file = tmp_path / "script.py"
    file.write_text(GOOD + "\n".join(MISTAKES) + "\n")
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}')
    core = str(Path(polygan.__file__).parents[1])
    words = [checker(), "--outputjson", "--pythonpath", sys.executable, str(file)]
    path = os.pathsep.join(filter(None, [core, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    found = [d for d in json.loads(done.stdout)["generalDiagnostics"] if d["severity"] == "error"]
    first = GOOD.count("\n")
    assert sorted(d["range"]["start"]["line"] - first for d in found) == list(range(5)), found
