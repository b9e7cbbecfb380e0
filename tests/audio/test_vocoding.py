"""A decoder from mels to sound: by a trained vocoder, by its name, or by Griffin-Lim; front ends that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import polygan
from polygan import ConfigError
from polygan_audio.networks import melspec
from polygan_audio.vocoding import decoder, network

SPEC = melspec.resolve("hifigan", 16_000, n_fft=256, hop_length=64, n_mels=20)
MEL = {"n_fft": 256, "hop_length": 64, "n_mels": 20}


@pytest.fixture(scope="module")
def vocoder(tmp_path_factory):
    """A run of a small Vocos, trained for one step."""
    folder = tmp_path_factory.mktemp("vocoding")
    small = {"dim": 8, "hidden": 8, "blocks": 1, "prior": "none", "pretrain_steps": 9}
    return polygan.train(
        "audio/vocos",
        data={"source": "tones", "size": 6, "segment": 2048, "cache": str(folder)},
        model=small | MEL,
        steps=1,
        batch_size=2,
        sample_every=0,
        runs=str(folder / "runs"),
        name="voice",
        quiet=True,
    )


def mel_of(seconds=0.2):
    time = torch.arange(int(16_000 * seconds)) / 16_000
    return SPEC(0.5 * torch.sin(2 * np.pi * 440 * time))


def test_griffin_lim_gives_a_tone_back_at_its_pitch():
    mel = mel_of()
    sound = decoder("griffin-lim", SPEC)(mel)
    assert sound.shape == (mel.shape[1] * 64,)
    assert sound.dtype == torch.float32
    peak = torch.fft.rfft(sound).abs().argmax().item() * 16_000 / len(sound)
    assert abs(peak - 440) < 40


def test_a_trained_vocoder_sounds_as_its_own_run_does(vocoder):
    mel = mel_of()
    made = decoder(str(vocoder.folder), SPEC)(mel)
    given = polygan.Samples([torch.zeros(0)], vocoder.domain, extra={"sample_rate": 16_000, "mel": [mel]})
    assert torch.equal(made, vocoder.generate(given=given).data[0].clamp(-1, 1))


def test_the_network_of_a_vocoder_is_what_the_decoder_runs(vocoder):
    mel = mel_of()
    with torch.no_grad():
        made = network(str(vocoder.folder), SPEC)(mel[None])[0].clamp(-1, 1)
    assert (made - decoder(str(vocoder.folder), SPEC)(mel)).abs().max() < 1e-5
    sound = network("griffin-lim", SPEC)(mel[None])[0]
    assert sound.shape == (mel.shape[1] * 64,)
    assert abs(torch.fft.rfft(sound).abs().argmax().item() * 16_000 / len(sound) - 440) < 40
    with pytest.raises(ConfigError, match="was trained with another mel front end"):
        network(str(vocoder.folder), melspec.resolve("hifigan", 16_000))


def test_a_vocoder_is_found_by_its_name_and_as_an_exported_file(vocoder, monkeypatch, tmp_path):
    mel = mel_of()
    expected = decoder(str(vocoder.folder), SPEC)(mel)
    file = tmp_path / "voice.safetensors"
    vocoder.export(file)
    assert torch.equal(decoder(str(file), SPEC)(mel), expected)
    monkeypatch.chdir(vocoder.folder.parent.parent)
    assert torch.equal(decoder("voice", SPEC)(mel), expected)


def test_a_vocoder_is_found_by_its_name_beside_the_run_that_makes_the_mels(vocoder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    beside = vocoder.folder.parent
    assert polygan.load(vocoder.folder).recipe.runs == beside
    assert torch.equal(decoder("voice", SPEC, runs=beside)(mel_of()), decoder(str(vocoder.folder), SPEC)(mel_of()))
    with pytest.raises(ConfigError) as error:
        decoder("other", SPEC, runs=beside)
    assert f"runs/other and {beside / 'other'} do not exist" in str(error.value)
    with pytest.raises(ConfigError, match="and runs/voice does not exist"):
        decoder("voice", SPEC)


def test_a_vocoder_of_another_front_end_is_refused_with_both(vocoder):
    other = melspec.resolve("hifigan", 16_000, n_fft=256, hop_length=64, n_mels=24)
    with pytest.raises(
        ConfigError, match=r"n_mels 24 instead of 20.*the mels have .*n_mels=24.*the vocoder has .*n_mels=20"
    ):
        decoder(str(vocoder.folder), other)


def test_what_is_no_vocoder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="neither a run nor an exported file"):
        decoder("nowhere", SPEC)
    with pytest.raises(ConfigError, match="do not overlap"):
        decoder("griffin-lim", melspec.resolve("hifigan", 16_000, n_fft=256, hop_length=256))
