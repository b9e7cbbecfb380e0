"""The generator of voices as one ONNX file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import conversion

from polygan import CheckpointError
from polygan_speech.conversion import onnx as writer

onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")


def test_the_file_converts_as_the_generator_does_at_any_size(tmp_path):
    recipe = conversion()
    networks = recipe.networks()
    for p in networks["generator"].parameters():
        torch.nn.init.normal_(p, std=0.2)
    (path,) = writer.export(recipe, networks, tmp_path / "voices")
    assert path.name == "voices.onnx"
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    mel, label = torch.randn(3, 20, 47), torch.tensor([1, 0, 1])
    pitch = torch.tensor([0.0, 90.0, 240.0])[:, None].repeat(1, 47)
    made = session.run(None, {"mel": mel.numpy(), "label": label.numpy(), "pitch": pitch.numpy()})[0]
    expected = networks["generator"].eval()(mel, label, pitch)
    assert torch.allclose(torch.from_numpy(made), expected, atol=1e-4)
    facts = {p.key: json.loads(p.value) for p in onnx.load(path).metadata_props}
    assert facts["speakers"] == ["ann", "bob"]
    assert facts["mel"]["n_mels"] == 20
    assert len(facts["pitch_mean"]) == 2


def test_a_file_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "TOLERANCE", -1.0)
    recipe = conversion()
    with pytest.raises(CheckpointError, match="computes something else"):
        writer.export(recipe, recipe.networks(), tmp_path / "voices")
