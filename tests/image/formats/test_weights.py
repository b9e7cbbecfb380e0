"""Files of published weights: read as tensors alone, and every tensor that does not fit is named."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from polygan import CheckpointError
from polygan_image.formats.weights import read_state, renamed, shape_of

STATE = {"model.0.weight": torch.ones(2, 3), "model.0.bias": torch.zeros(2)}


def saved(tmp_path, value, name="net.pth"):
    torch.save(value, tmp_path / name)
    return tmp_path / name


def test_tensors_are_read_by_name(tmp_path):
    half = {f"module.{k}": v.half() for k, v in STATE.items()} | {"module.norm.num_batches_tracked": torch.tensor(3)}
    found = read_state(saved(tmp_path, half))
    assert found.keys() == {*STATE, "norm.num_batches_tracked"}
    assert torch.equal(found["model.0.weight"], STATE["model.0.weight"])
    assert found["model.0.weight"].dtype == torch.float32
    save_file(STATE, tmp_path / "net.safetensors")
    assert read_state(tmp_path / "net.safetensors").keys() == STATE.keys()


def test_tensors_may_lie_under_a_name(tmp_path):
    path = saved(tmp_path, {"params": {"a": torch.ones(1)}, "params_ema": STATE})
    assert read_state(path, ("params_ema", "params")).keys() == STATE.keys()
    assert read_state(path, ("params",)).keys() == {"a"}


class Evil:
    def __reduce__(self):
        return eval, ("1",)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ({"a": Evil()}, "asks for .*eval"),
        ([1, 2], "holds list and no tensors"),
        ({}, "no tensors"),
        ({"epoch": 3}, "epoch is a int and no tensor"),
        ({"w": torch.ones(1, dtype=torch.long)}, "w is a tensor of torch.int64"),
        ({"w": torch.tensor([1.0, float("nan")])}, "w has NaN"),
    ],
)
def test_files_of_anything_else_are_refused(tmp_path, value, word):
    with pytest.raises(CheckpointError, match=word) as error:
        read_state(saved(tmp_path, value))
    assert "\n" not in str(error.value)


def test_damaged_and_missing_files_are_one_line(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"\0" * 40)
    (tmp_path / "x.pth").write_bytes(b"PK\3\4 broken")
    for name, word in (("x.safetensors", "no readable file"), ("x.pth", "weights"), ("y.pth", "does not exist")):
        with pytest.raises(CheckpointError, match=word) as error:
            read_state(tmp_path / name)
        assert "\n" not in str(error.value)


def test_tensors_get_the_networks_names_and_the_counter_of_new_versions(tmp_path):
    network, layers = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), {"0": "model.0", "1": "model.norm"}
    state = {**STATE, **{f"model.norm.{k}": torch.ones(2) for k in ("weight", "bias", "running_mean", "running_var")}}
    found = renamed(state, layers, network, tmp_path, "net")
    network.load_state_dict(found)
    assert torch.equal(network[0].weight, STATE["model.0.weight"])
    assert found["1.num_batches_tracked"] == 0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model.0.weight": None}, r"model\.0\.weight is missing"),
        ({"model.0.weight": torch.ones(2, 4)}, r"model\.0\.weight has the shape \(2, 4\), and net has \(2, 3\)"),
        ({"model.7.weight": torch.ones(1)}, r"model\.7\.weight has no place in net"),
        ({"model.0.scale": torch.ones(1)}, r"model\.0\.scale has no place in net"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_as_published(tmp_path, change, word):
    state = {k: v for k, v in {**STATE, **change}.items() if v is not None}
    with pytest.raises(CheckpointError, match=word):
        renamed(state, {"0": "model.0"}, nn.Sequential(nn.Linear(3, 2)), tmp_path, "net")


def test_a_shape_that_tells_a_size_is_checked(tmp_path):
    assert shape_of(STATE, "model.0.weight", 2, tmp_path, "net") == (2, 3)
    with pytest.raises(CheckpointError, match="has no first, and so holds no net; the file has model"):
        shape_of(STATE, "first", 2, tmp_path, "net")
    with pytest.raises(CheckpointError, match="has the shape"):
        shape_of(STATE, "model.0.bias", 4, tmp_path, "net")
