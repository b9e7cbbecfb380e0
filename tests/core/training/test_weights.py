"""Weights are read from a run, a checkpoint or a file, and load into a network of the same shapes only."""

from __future__ import annotations

import pytest
import torch
from checkpoint_files import truncate, two
from safetensors.torch import save_file
from toy_trainer import make, train

import polygan
from polygan.errors import CheckpointError
from polygan.training.checkpoint import Checkpoints
from polygan.training.weights import load_weights
from toy_gan import Config


def test_weights_of_a_run_a_checkpoint_and_a_file(tmp_path):
    path = two(tmp_path / "run" / "checkpoints")
    save_file(
        {"g.0.weight": torch.ones(2), "g.0.bias": torch.zeros(1), "d.w": torch.ones(1)}, tmp_path / "a.safetensors"
    )
    assert float(load_weights(tmp_path / "run", ["g"])["g"]["w"][0]) == 20
    assert float(load_weights(path.with_name("step-00000010"), ["g"])["g"]["w"][0]) == 10
    weights = load_weights(tmp_path / "a.safetensors", ["g"])
    assert list(weights) == ["g"]
    assert set(weights["g"]) == {"0.weight", "0.bias"}


def test_weights_of_nonsense(tmp_path):
    (tmp_path / "text.safetensors").write_text("this is no tensor file")
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04" + bytes(40))
    (tmp_path / "empty").mkdir()
    for name, words in {
        "text.safetensors": "is not a readable .safetensors file",
        "model.pt": "is not a readable .safetensors file",
        "empty": "neither a run, nor a checkpoint folder",
        "nowhere": "does not exist",
    }.items():
        with pytest.raises(CheckpointError, match=words) as error:
            load_weights(tmp_path / name, ["g"])
        assert name in str(error.value)
    truncate(two(tmp_path))
    with pytest.raises(CheckpointError, match=r"g.safetensors has"):
        load_weights(tmp_path / "step-00000020", ["g"])


def test_restore_refuses_another_shape(tmp_path):
    train(checkpoints=Checkpoints(tmp_path))
    other = make(config=Config(width=8), checkpoints=Checkpoints(tmp_path))
    with pytest.raises(polygan.CheckpointError, match=r"generator\.0\.bias is \(16,\) in the checkpoint and \(8,\)"):
        other.restore(other.checkpoints.load())
