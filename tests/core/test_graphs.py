"""Networks as ONNX files and as programs of torch: what they hold, what they compute at other sizes, and what is refused."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.export import Dim

import polygan
from polygan import CheckpointError, ConfigError, graphs
from polygan.graphs import Graph, agree, write_graph


class Two(nn.Module):
    """A sum over time and a product, of which an input is not read."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2).requires_grad_(False)

    def forward(self, x, unread, y):
        return self.layer(x).sum(1), x * y


def trial(batch, length):
    draw = torch.Generator().manual_seed(length)
    x, y = torch.randn(2, batch, length, 3, generator=draw)
    return {"x": x, "unread": torch.zeros(batch), "y": y}


def graph(module, **changes):
    axes = {0: "batch", 1: "length"}
    free = {"x": axes, "y": axes, "unread": {0: "batch"}, "sum": {0: "batch"}, "product": axes}
    made = ["sum", "product"]
    return Graph(module, [trial(2, 5), trial(1, 3)], made, free, {"kind": "two"}, module)._replace(**changes)


def packages(kind):
    if kind == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_file_is_opened_again_and_computes_the_same_at_any_free_size(tmp_path, kind):
    packages(kind)
    module = Two()
    path, run = write_graph(graph(module, entries={"rate": 7}), tmp_path / "new/net", kind, "half")
    assert path == tmp_path / f"new/net-half.{kind}"
    assert write_graph(graph(module), tmp_path / f"net.{kind}", kind)[0] == tmp_path / f"net.{kind}"
    for batch, length in ((1, 1), (4, 9)):
        given = trial(batch, length)
        for mine, other in zip(module(**given), run(**given), strict=True):
            assert mine.shape == other.shape
            assert (mine - other).abs().max() < 1e-5
    if kind == "onnx":
        session = pytest.importorskip("onnxruntime").InferenceSession(path)
        assert sorted(port.name for port in session.get_inputs()) == ["unread", "x", "y"]
        known = session.get_modelmeta().custom_metadata_map
        assert json.loads(known["rate"]) == 7
    else:
        known = {"polygan": ""}
        torch.export.load(path, extra_files=known)
        assert str(Path(__file__)).encode() not in path.read_bytes()
        assert str(Path(polygan.__file__).parent).encode() not in path.read_bytes()
    assert json.loads(known["polygan"]) == {"kind": "two"}


def test_a_program_has_the_bounds_that_it_is_given(tmp_path):
    _, run = write_graph(graph(Two(), dims={"length": Dim("length", min=3)}), tmp_path / "x", "pt2")
    assert run(**trial(4, 3))[0].shape == (4, 2)
    with pytest.raises(AssertionError, match="Guard failed"):
        run(**trial(4, 2))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("onnx", {"batch_first": True}),
        ("pt2", {"batch_first": True}),
        ("pt2", {"num_layers": 2, "bidirectional": True}),
    ],
)
def test_an_lstm_has_any_length(tmp_path, kind, options):
    packages(kind)
    batch = 0 if "batch_first" in options else 1

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 4, **options).requires_grad_(False)

        def forward(self, x):
            states, (last, _) = self.lstm(x)
            return states, states.flatten(1), last

    module, axes = Reader(), {batch: "batch", 1 - batch: "length"}
    free = {"x": axes, "states": axes, "flat": {0: axes[0], 1: "numbers"}, "last": {1: "batch"}}
    given = Graph(module, [{"x": torch.randn(2, 5, 3)}], ["states", "flat", "last"], free, {})
    _, run = write_graph(given, tmp_path / "reader", kind)
    for shape in ((3, 11, 3), (1, 1, 3)):
        x = torch.randn(shape)
        for mine, other in zip(module(x), run(x=x), strict=True):
            assert mine.shape == other.shape
            assert (mine - other).abs().max() < 1e-5
    own = torch.ops.aten.lstm.input.py_kernels[torch._C.DispatchKey.CompositeImplicitAutograd]
    assert own.__module__.startswith("torch.")


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_file_that_computes_something_else_is_refused(tmp_path, kind):
    packages(kind)
    module, other = Two(), Two()
    message = rf"x\.{kind} makes something else than its source: values differ by .*; do not use the file"
    with pytest.raises(CheckpointError, match=message):
        write_graph(graph(module, source=other), tmp_path / "x", kind)
    seen = []
    write_graph(graph(module, source=other, agree=lambda *both: seen.append(both)), tmp_path / "x", kind)
    assert [mine.shape == theirs.shape for mine, theirs, _ in seen] == [True] * 4
    write_graph(graph(module, source=None), tmp_path / "x", kind)


def test_numbers_agree_to_a_tolerance(tmp_path):
    ones = torch.ones(2, 3)
    agree(ones, ones + 5e-5, tmp_path)
    agree(ones, ones + 0.01, tmp_path, most=0.02)
    for theirs, how in (
        (ones + 0.01, r"pixels differ by 0\.01"),
        (ones * float("nan"), "pixels differ by nan"),
        (ones[:1], r"pixels have the shape \[1, 3\] in place of \[2, 3\]"),
    ):
        with pytest.raises(CheckpointError, match=f"source: {how}; do not use the file"):
            agree(ones, theirs, tmp_path, "pixels")


class Odd(nn.Module):
    """ONNX has no such function."""

    def forward(self, x):
        return torch.special.bessel_j0(x)


class Choosing(nn.Module):
    """A value decides what is computed, which a program cannot hold."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("kind", "module", "message"),
    [
        ("onnx", Odd(), r"a part that torch cannot write as ONNX \(.*bessel_j0.*\); use --format pt2"),
        ("pt2", Choosing(), r"a part that torch cannot write as a program \(.*\); use --format onnx"),
    ],
)
def test_what_a_format_cannot_hold_is_one_line(tmp_path, capfd, kind, module, message):
    packages(kind)
    with pytest.raises(ConfigError, match=message) as error:
        write_graph(Graph(module, [{"x": torch.ones(2, 2)}], ["y"], {"x": {0: "batch"}}, {}), tmp_path / "x", kind)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr().out == ""


def test_more_weights_than_an_onnx_file_holds_are_refused(tmp_path, monkeypatch):
    packages("onnx")
    monkeypatch.setattr(graphs, "MOST_BYTES", 10)
    with pytest.raises(ConfigError, match=r"32 bytes of weights are too many .* which holds 10; use --format pt2"):
        write_graph(graph(Two()), tmp_path / "x", "onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_missing_packages_are_one_line(tmp_path, monkeypatch, package):
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None if name == package else sys)
    with pytest.raises(ConfigError, match=re.escape(f"needs the package {package}: pip install onnx onnxruntime")):
        write_graph(graph(Two()), tmp_path / "x", "onnx")
    with pytest.raises(ConfigError, match=re.escape(f"needs the package {package}: pip install 'polygan-x[onnx]', or")):
        write_graph(graph(Two())._replace(extra="polygan-x[onnx]"), tmp_path / "x", "onnx")
