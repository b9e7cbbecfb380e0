"""The attention decoder in onnxruntime."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "attention"))
from small_tacotron2 import STILL, tiny

from polygan_speech.attention import Stop
from polygan_speech.formats.attention_onnx import STATES, export_onnx

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def test_steps_in_onnxruntime_speak_as_the_network_does(tmp_path):
    network = tiny(speakers=2, languages=2, reduction=2, **STILL)
    scale = torch.linspace(-3, 2, 6), torch.linspace(0.5, 2, 6)
    files = export_onnx(network, tmp_path / "voice.onnx", {"symbols": "abc"}, scale)
    assert [f.name for f in files] == ["voice-encoder.onnx", "voice-step.onnx", "voice-postnet.onnx"]
    encoder, step, postnet = (runtime.InferenceSession(f, providers=["CPUExecutionProvider"]) for f in files)
    ids, speaker, language = np.array([[3, 1, 4, 1, 5, 9]]), np.array([1]), np.array([1])
    memory, keys = encoder.run(None, {"ids": ids, "speaker": speaker, "language": language})
    shapes = {i.name: [d if isinstance(d, int) else 6 for d in i.shape] for i in step.get_inputs()}
    state = {name: np.zeros(shapes[name], np.float32) for name in STATES}
    before, mels = np.zeros(shapes["before"], np.float32), []
    for _ in range(5):
        inputs = {"before": before, "kept": np.ones(shapes["kept"], np.float32), "memory": memory, "keys": keys}
        before, stop, *after = step.run(None, inputs | state)
        state = dict(zip(STATES, after, strict=True))
        mels.append(before.reshape(2, 6).T)
    (post,) = postnet.run(None, {"mel": np.concatenate(mels, 1)[None]})
    stop_late, read = Stop(gate=1, patience=0), torch.tensor(language)
    wanted, alignment = network.infer(torch.tensor(ids), None, torch.tensor(speaker), 10, stop_late, read)
    wanted = wanted * scale[1][:, None] + scale[0][:, None]
    assert np.abs(post[0] - wanted.numpy()).max() < 1e-5
    assert np.abs(state["places"][0, 0] - alignment[-1].numpy()).max() < 1e-6
    assert stop.shape == (1,)
    facts = json.loads(next(p.value for p in onnx.load(files[1]).metadata_props if p.key == "polygan"))
    assert (facts["symbols"], facts["shape"]["reduction"], facts["n_mels"]) == ("abc", 2, 6)
