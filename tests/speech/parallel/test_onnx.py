"""The parallel network as an ONNX file, and as a program of torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_speech import INFO, speech

from polygan import ConfigError
from polygan_speech.parallel.onnx import export, program

onnx, runtime = (pytest.importorskip(name) for name in ("onnx", "onnxruntime"))


@pytest.mark.parametrize(("classes", "language"), [((), "en"), (("ann", "bob"), "en"), (("ann", "bob"), "en,it")])
def test_the_file_speaks_as_the_network_does_at_any_length(tmp_path, classes, language):
    recipe = speech(
        {**INFO, "classes": list(classes), "pitch_mean": [5.0] * 2, "pitch_deviation": [0.2] * 2} if classes else INFO,
        language=language,
    )
    torch.manual_seed(0)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    (file,) = export(recipe, networks, tmp_path / "voice")
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = {value.name for value in session.get_inputs()}
    several = len(recipe.languages) > 1
    assert names == {"ids", "pace", "pitch", *(["speaker"] if classes else []), *(["language"] if several else [])}
    ids = torch.tensor([[recipe.end, 1, 5, 3, 2, 2, 4, recipe.end]])
    one = torch.tensor([1])
    given = {"ids": ids, "pace": torch.tensor([0.7]), "pitch": torch.ones(1), "speaker": one, "language": one - 1}
    made = torch.from_numpy(session.run(None, {name: given[name].numpy() for name in names})[0])
    generator = networks["generator"]
    wanted, _ = generator.network.speak(ids, one if classes else None, 0.7, 1.0, one - 1 if several else None)
    assert (generator.mel(wanted) - made).abs().max() < 1e-4
    if several:
        other, _ = generator.network.speak(ids, one, 0.7, 1.0, one)
        assert other.shape != wanted.shape or not torch.equal(other, wanted)
    facts = {entry.key: json.loads(entry.value) for entry in onnx.load(file).metadata_props}
    assert facts["mel"]["hop_length"] == 64
    assert facts["symbols"] == INFO["symbols"]
    assert facts["end"] == recipe.end
    assert facts.get("languages") == (["en", "it"] if several else None)


def test_the_program_speaks_as_the_network_does_at_any_length(tmp_path):
    classes = ["ann", "bob"]
    recipe = speech(
        {**INFO, "classes": classes, "pitch_mean": [5.0] * 2, "pitch_deviation": [0.2] * 2}, language="en,it"
    )
    torch.manual_seed(0)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    generator = networks["generator"]
    with torch.no_grad():
        for parameter in generator.network.predictor.parameters():  # symbols of different lengths
            parameter += 0.05 * torch.randn_like(parameter)
    (file,) = program(recipe, networks, tmp_path / "voice")
    assert file.name == "voice.pt2"
    extra = {"polygan": ""}
    run, facts = torch.export.load(file, extra_files=extra).module(), json.loads(extra["polygan"])
    assert (facts["kind"], facts["symbols"], facts["speakers"]) == ("speech", INFO["symbols"], classes)
    one, lengths = torch.tensor([1]), set()
    for ids in ([1], [1, 5, 3, 2, 2, 4], [4, 3, 2, 1] * 5):
        ids = torch.tensor([[recipe.end, *ids, recipe.end]])
        given = {"pace": torch.tensor([0.7]), "pitch": torch.ones(1), "speaker": one, "language": one - 1}
        with torch.no_grad():
            wanted, _ = generator.network.speak(ids, one, 0.7, 1.0, one - 1)
            assert (generator.mel(wanted) - run(ids=ids, **given)).abs().max() < 1e-4
        lengths.add(wanted.shape[2] / ids.shape[1])
    assert len(lengths) == 3


@pytest.mark.parametrize("write", [export, program])
def test_another_network_is_refused(tmp_path, write):
    with pytest.raises(ConfigError, match="takes a generator of audio/tacotron2; this is a Linear"):
        write(speech(), {"generator": torch.nn.Linear(1, 1)}, tmp_path / "x")
