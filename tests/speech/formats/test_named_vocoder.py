"""The files of a network with attention and its vocoder: what a program needs that speaks with them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_speech import INFO, speech

from polygan import CheckpointError, ConfigError
from polygan_audio import vocoding
from polygan_audio.formats import named_vocoder
from polygan_audio.networks.excitation import GriffinLim
from polygan_audio.networks.parallel_wavegan import Generator as WaveGAN
from polygan_audio.networks.parallel_wavegan import Shape
from polygan_speech.attention import Stop
from polygan_speech.parallel.onnx import export
from polygan_speech.settings import Exported

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def opened(file):
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session, json.loads(session.get_modelmeta().custom_metadata_map["polygan"])


def exported(monkeypatch, tmp_path, vocoder, **options):
    recipe, made = speech(decoder="attention"), []
    networks = {name: network.eval() for name, network in recipe.networks().items()}

    def network(name, spec, runs=None):
        torch.manual_seed(1)
        made.append(vocoder(spec))
        return made[0]

    monkeypatch.setattr(vocoding, "network", network)
    files = export(recipe, networks, tmp_path / "voice.onnx", Exported(vocoder="any", **options))
    return recipe, {file.stem.removeprefix("voice-"): file for file in files}, made[0]


def test_the_encoder_says_how_texts_are_read_and_when_a_sentence_ends(monkeypatch, tmp_path):
    recipe, files, _ = exported(monkeypatch, tmp_path, lambda spec: GriffinLim(spec, 1, 1).eval())
    assert [*files] == ["encoder", "step", "postnet", "vocoder"]
    _, facts = opened(files["encoder"])
    assert facts["stop"] == asdict(Stop())
    assert (facts["kind"], facts["sample_rate"], facts["end"]) == ("speech", 8000, None)
    assert facts["reading"]["symbols"] == INFO["symbols"]
    assert facts["most_frames"] == 20 * 8000 // recipe.mel.hop_length
    assert "reading" not in opened(files["step"])[1]
    assert opened(files["vocoder"])[1]["vocoder"] == "any"


@pytest.mark.parametrize("noisy", [False, True])
def test_the_vocoder_hears_nothing_quieter_than_silence(monkeypatch, tmp_path, noisy):
    shape = Shape(layers=2, stacks=1, channels=4, gates=6, skips=5, scales=(4, 4, 4), window=1)
    kind = (lambda spec: WaveGAN(shape, spec).eval()) if noisy else (lambda spec: GriffinLim(spec, 2, 2).eval())
    recipe, files, vocoder = exported(monkeypatch, tmp_path, kind)
    session, _ = opened(files["vocoder"])
    mel = 4 * torch.randn(1, recipe.mel.n_mels, 17) - 7
    noise = {"noise": torch.randn(1, 17 * recipe.mel.hop_length)} if noisy else {}
    assert mel.min() < recipe.mel.silence
    given = {name: x.numpy() for name, x in {"mel": mel, **noise}.items()}
    waveform, heard = map(torch.from_numpy, session.run(["waveform", "heard"], given))
    with torch.no_grad():
        wanted = vocoder(mel.clamp(min=recipe.mel.silence), *noise.values()).clamp(-1, 1)
    assert torch.equal(heard, mel.clamp(min=recipe.mel.silence))
    assert waveform.shape == wanted.shape == (1, 17 * recipe.mel.hop_length)
    assert (waveform - wanted).abs().max() < 1e-3
    assert wanted.abs().max() > 1e-3


def test_words_alone_need_no_vocoder_and_are_read_by_phonemes_alone(tmp_path):
    recipe = speech(decoder="attention")
    (tmp_path / "words.txt").write_text("one\n")
    with pytest.raises(ConfigError, match="reads characters, which need no pronunciations"):
        export(recipe, recipe.networks(), tmp_path / "x.onnx", Exported(words=str(tmp_path / "words.txt")))
    with pytest.raises(ConfigError, match="is neither a run nor an exported file"):
        export(recipe, recipe.networks(), tmp_path / "x.onnx", Exported(vocoder="nowhere"))
    assert not list(tmp_path.glob("*.onnx"))


def test_a_vocoder_that_differs_from_the_network_is_refused(monkeypatch, tmp_path):
    real, recipe = named_vocoder.in_a_file, speech(decoder="attention")

    class Louder(torch.nn.Module):
        def __init__(self, ours):
            super().__init__()
            self.ours = real(ours)

        def forward(self, mel):
            return 1.1 * self.ours(mel)

    monkeypatch.setattr(vocoding, "network", lambda name, spec, runs=None: GriffinLim(spec, 2, 2).eval())
    monkeypatch.setattr(named_vocoder, "in_a_file", Louder)
    with pytest.raises(CheckpointError, match="makes something else than its source"):
        named_vocoder.export("any", recipe.mel, tmp_path / "x.onnx", {})
