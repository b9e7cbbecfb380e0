"""The generator of voices as one ONNX file, and as a program of torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import conversion

from polygan import CheckpointError, ConfigError
from polygan_speech.conversion import onnx as writer

onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")


def made():
    recipe = conversion()
    networks = recipe.networks()
    for p in networks["generator"].parameters():
        torch.nn.init.normal_(p, std=0.2)
    return recipe, networks


def inputs():
    pitch = torch.tensor([0.0, 90.0, 240.0])[:, None].repeat(1, 47)
    return {"mel": torch.randn(3, 20, 47), "label": torch.tensor([1, 0, 1]), "pitch": pitch}


def test_the_file_converts_as_the_generator_does_at_any_size(tmp_path):
    recipe, networks = made()
    (path,) = writer.export(recipe, networks, tmp_path / "voices")
    assert path.name == "voices.onnx"
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    given = inputs()
    found = session.run(None, {name: x.numpy() for name, x in given.items()})[0]
    expected = networks["generator"].eval()(*given.values())
    assert torch.allclose(torch.from_numpy(found), expected, atol=1e-4)
    facts = {p.key: json.loads(p.value) for p in onnx.load(path).metadata_props}
    assert facts.pop("polygan") == {"kind": "voices", **facts}
    assert facts["speakers"] == ["ann", "bob"]
    assert facts["mel"]["n_mels"] == 20
    assert len(facts["pitch_mean"]) == 2


def test_the_program_converts_as_the_generator_does_at_any_size(tmp_path):
    recipe, networks = made()
    (path,) = writer.program(recipe, networks, tmp_path / "voices")
    assert path.name == "voices.pt2"
    extra, given = {"polygan": ""}, inputs()
    run = torch.export.load(path, extra_files=extra).module()
    assert json.loads(extra["polygan"])["speakers"] == ["ann", "bob"]
    with torch.no_grad():
        expected = networks["generator"].eval()(*given.values())
    assert expected.std() > 1e-2
    assert (run(**given) - expected).abs().max() < 1e-4


def test_another_network_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="takes a generator of voices; this is a Linear"):
        writer.program(conversion(), {"generator": torch.nn.Linear(1, 1)}, tmp_path / "voices")


def test_a_file_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(writer._Plain, "forward", lambda self, mel, label, pitch: mel + torch.rand(1))
    with pytest.raises(CheckpointError, match="makes something else than its source: log-mels differ by"):
        writer.export(*made(), tmp_path / "voices")
