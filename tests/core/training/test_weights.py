"""Weights are read from a run, a checkpoint or a file, and load into a network of the same shapes only."""

from __future__ import annotations

import math

import pytest
import torch
from checkpoint_files import truncate, two
from safetensors.torch import save_file
from torch import nn
from toy_trainer import make, train

import polygan
from polygan.errors import CheckpointError
from polygan.training.checkpoint import Checkpoints
from polygan.training.weights import file_sizes, load_fitting, load_module, load_weights, read_tensors
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


def buffered():
    module = nn.BatchNorm1d(2)
    return module, {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("weight", torch.ones(2).half(), r"x: g\.weight holds float16 in the checkpoint and float32 in this recipe"),
        ("weight", torch.ones(2, dtype=torch.int64), "holds int64 in the checkpoint and float32"),
        ("num_batches_tracked", torch.tensor(1.0), "holds float32 in the checkpoint and int64"),
        (
            "weight",
            torch.tensor([1, math.nan]),
            r"g\.weight holds numbers that are not finite; use an older checkpoint",
        ),
        ("weight", torch.tensor([1, math.inf]), "not finite"),
        ("running_mean", torch.tensor([1, math.nan]), r"g\.running_mean holds numbers that are not finite"),
        ("odd", torch.ones(2), r"g\.odd is \(2,\) in the checkpoint and missing in this recipe"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_and_nothing_is_loaded(name, tensor, words):
    module, state = buffered()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with pytest.raises(CheckpointError, match=words):
        load_module(module, {"g": {**state, "bias": torch.full((2,), 7.0), name: tensor}}, "g", "x")
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_what_may_be_infinite_and_what_another_program_saved_is_loaded():
    module, state = buffered()
    load_module(module, {"g": {**state, "running_var": torch.tensor([1, math.inf])}}, "g", "x")
    halves = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    load_module(module, {"g": halves}, "g", "x", cast=True)
    assert module.weight.dtype == torch.float32


def test_a_file_larger_than_the_networks_is_not_read(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"g.w": torch.ones(1000)}, path)
    with pytest.raises(CheckpointError, match=r"it has 4,\d+ bytes, and polygan reads at most 100"):
        load_weights(path, ["g"], 100)
    module = nn.Linear(300, 200)
    state = {"module": module.state_dict()}
    folder = Checkpoints(tmp_path / "checkpoints").save(1, state, {}, seed=0, good=True)
    size = (folder / "module.safetensors").stat().st_size
    assert size <= file_sizes({"module": module})["module"] < size + 10_000


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.full((2, 3), float("nan")), r"there: net\.weight holds numbers that are not finite"),
        (torch.zeros(2, 3, dtype=torch.float64), r"there: net\.weight holds float64 in the checkpoint and float32"),
    ],
)
def test_weights_of_other_classes_are_checked_too(value, words):
    module = torch.nn.Linear(3, 2)
    before = module.weight.detach().clone()
    given = {"weight": value, "bias": torch.zeros(5)}
    with pytest.raises(CheckpointError, match=words):
        load_fitting(module, given, (5, 2), "there: net")
    assert torch.equal(module.weight, before)


def test_names_of_data_parallel_are_those_of_the_network(tmp_path):
    """Wherever they stand; a name that only some tensors have is part of the network's."""
    wrapped = nn.DataParallel(nn.Linear(2, 1)).state_dict()
    torch.save({"generator": wrapped, "steps": 3, "module.odd": {}}, tmp_path / "a.pt")
    found = read_tensors(tmp_path / "a.pt")
    assert {*found["generator"]} == {"weight", "bias"}
    assert found["steps"] == 3
    assert "module.odd" in found
    save_file(dict(wrapped), tmp_path / "b.safetensors")
    assert {*read_tensors(tmp_path / "b.safetensors")} == {"weight", "bias"}
    assert torch.equal(read_tensors(tmp_path / "b.safetensors")["weight"], wrapped["module.weight"])
