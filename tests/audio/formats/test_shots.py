"""Generators of short sounds in ONNX files, as onnxruntime computes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_wavegan import INFO, MEL, NOTES, SAMPLES, wavegan

from polygan import CheckpointError, ConfigError
from polygan_audio.formats import shots
from polygan_audio.shots.settings import Exported


@pytest.mark.parametrize(
    ("info", "options", "shape"),
    [
        (NOTES, {"harmonics": 3}, (SAMPLES,)),
        ({**INFO, "classes": []}, {"upsample": "nearest"}, (SAMPLES,)),
        (INFO, MEL, (16, 16)),
    ],
)
def test_the_file_computes_what_the_generator_does(tmp_path, info, options, shape):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    recipe = wavegan(info, **options)
    networks = recipe.networks()
    (path,) = shots.export(recipe, networks, tmp_path / "shots")
    assert path == tmp_path / "shots.onnx"
    facts = json.loads(next(e.value for e in onnx.load(path).metadata_props if e.key == "polygan"))
    assert (facts["sample_rate"], facts["classes"]) == (16_000, info["classes"])
    assert ("mel" in facts) == recipe.makes_mels
    given = {"latent": torch.randn(5, 4)} | ({"label": torch.tensor([0, 1, 1, 0, 1])} if info["classes"] else {})
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    made = torch.from_numpy(session.run(None, {name: x.numpy() for name, x in given.items()})[0])
    assert made.shape == (5, *shape)
    with torch.no_grad():
        torch.testing.assert_close(made, networks["generator"](*given.values()), atol=1e-4, rtol=1e-4)


def test_a_generator_of_mels_has_its_vocoder_in_a_file_beside_it(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    recipe = wavegan(INFO, **MEL)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    given = Exported(vocoder="griffin-lim")
    files = shots.export(recipe, networks, tmp_path / "shots.onnx", given)
    assert [file.name for file in files] == ["shots-generator.onnx", "shots-vocoder.onnx"]
    (plain,) = shots.export(recipe, networks, tmp_path / "plain.onnx")
    assert files[0].read_bytes() == plain.read_bytes()
    generator, vocoder = (runtime.InferenceSession(file, providers=["CPUExecutionProvider"]) for file in files)
    mel = generator.run(["mel"], {"latent": torch.randn(1, 4).numpy(), "label": torch.tensor([1]).numpy()})[0]
    assert vocoder.run(["waveform"], {"mel": mel})[0].shape == (1, SAMPLES)


def test_a_generator_of_samples_takes_no_trained_vocoder(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    recipe = wavegan()
    networks = recipe.networks()
    with pytest.raises(ConfigError, match="vocoder = mine: this run makes samples, not mels; leave the vocoder out"):
        shots.export(recipe, networks, tmp_path / "x.onnx", Exported(vocoder="mine"))
    (file,) = shots.export(recipe, networks, tmp_path / "a.onnx", Exported(vocoder="griffin-lim"))
    (plain,) = shots.export(recipe, networks, tmp_path / "b.onnx")
    assert file.read_bytes() == plain.read_bytes()


def test_a_file_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    recipe = wavegan()
    networks = recipe.networks()
    plain = torch.onnx.export

    def broken(model, *arguments, **options):
        with torch.no_grad():
            model.layers[-1].layer.bias.add_(0.5)
        plain(model, *arguments, **options)
        with torch.no_grad():
            model.layers[-1].layer.bias.sub_(0.5)

    monkeypatch.setattr(torch.onnx, "export", broken)
    with pytest.raises(CheckpointError, match="samples differ"):
        shots.export(recipe, networks, tmp_path / "shots.onnx")
