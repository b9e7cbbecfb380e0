"""The attention decoder in onnxruntime, and in programs of torch."""

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

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def in_onnxruntime(path):
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["polygan"])
    return lambda **inputs: session.run(None, inputs), facts


def in_torch(path):
    extra = {"polygan": ""}
    program = torch.export.load(path, extra_files=extra).module()

    def run(**inputs):
        made = program(**{name: torch.from_numpy(x) for name, x in inputs.items()})
        return [x.numpy() for x in ([made] if isinstance(made, torch.Tensor) else made)]

    return run, json.loads(extra["polygan"])


@pytest.mark.parametrize(("kind", "opened"), [("onnx", in_onnxruntime), ("pt2", in_torch)])
def test_steps_elsewhere_speak_as_the_network_does(tmp_path, kind, opened):
    network = tiny(speakers=2, languages=2, reduction=2, **STILL)
    scale = torch.linspace(-3, 2, 6), torch.linspace(0.5, 2, 6)
    files = export_onnx(network, tmp_path / f"voice.{kind}", {"symbols": "abc"}, scale, kind)
    assert [f.name for f in files] == [f"voice-{part}.{kind}" for part in ("encoder", "step", "postnet")]
    (encoder, _), (step, facts), (postnet, _) = map(opened, files)
    ids, speaker, language = np.array([[3, 1, 4, 1, 5, 9]]), np.array([1]), np.array([1])
    memory, keys = encoder(ids=ids, speaker=speaker, language=language)
    first = network.decoder.begin(torch.from_numpy(memory)).tensors()
    state = {name: np.zeros(x.shape, np.float32) for name, x in zip(STATES, first, strict=True)}
    before, mels = np.zeros((1, 12), np.float32), []
    kept = np.ones((2, 1, facts["shape"]["prenet"]), np.float32)
    for _ in range(5):
        before, stop, *after = step(before=before, kept=kept, memory=memory, keys=keys, **state)
        state = dict(zip(STATES, after, strict=True))
        mels.append(before.reshape(2, 6).T)
    (post,) = postnet(mel=np.concatenate(mels, 1)[None])
    stop_late, read = Stop(gate=1, patience=0), torch.tensor(language)
    wanted, alignment = network.infer(torch.tensor(ids), None, torch.tensor(speaker), 10, stop_late, read)
    wanted = wanted * scale[1][:, None] + scale[0][:, None]
    assert np.abs(post[0] - wanted.numpy()).max() < 1e-5
    assert np.abs(state["places"][0, 0] - alignment[-1].numpy()).max() < 1e-6
    assert stop.shape == (1,)
    assert (facts["symbols"], facts["shape"]["reduction"], facts["n_mels"]) == ("abc", 2, 6)
