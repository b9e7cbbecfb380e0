"""Generators of sound as programs of torch: loaded again, they give the generator's samples for any batch and length."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_vocoders import hifigan
from small_wavegan import INFO, SAMPLES, wavegan

import polygan
from polygan import CheckpointError, ConfigError
from polygan_audio.formats import programs


def opened(path):
    extra = {"polygan": ""}
    return torch.export.load(path, extra_files=extra).module(), json.loads(extra["polygan"])


def test_short_sounds(tmp_path):
    recipe = wavegan()
    networks = recipe.networks()
    (path,) = programs.shots(recipe, networks, tmp_path / "new/shots")
    assert path == tmp_path / "new/shots.pt2"
    run, facts = opened(path)
    assert (facts["kind"], facts["latent_size"], facts["classes"]) == ("latents", 4, INFO["classes"])
    for n in (1, 5):
        latent, label = torch.randn(n, 4), torch.arange(n) % 2
        with torch.no_grad():
            expected = networks["generator"](latent, label)
        assert expected.shape == (n, SAMPLES)
        assert expected.std() > 1e-4
        assert (run(latent=latent, label=label) - expected).abs().max() < 1e-5
    assert str(Path(polygan.__file__).parent).encode() not in path.read_bytes()


@pytest.mark.slow  # torch reasons about free lengths for half a minute
def test_a_vocoder(tmp_path):
    recipe = hifigan()
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    (path,) = programs.vocoder(recipe, networks, tmp_path / "vocoder.pt2")
    run, facts = opened(path)
    spec = networks["generator"].mel
    assert (facts["kind"], facts["mel"]["n_mels"]) == ("vocoder", spec.n_mels)
    for n, frames in ((1, 40), (3, 17)):
        mel = torch.randn(n, spec.n_mels, frames)
        with torch.no_grad():
            expected = networks["generator"](mel)
        assert expected.shape == (n, frames * spec.hop_length)
        assert (run(mel=mel) - expected).abs().max() < 1e-4 * max(1, expected.abs().max())


def test_another_network_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="takes the generator of audio/hifigan; this is a Linear"):
        programs.vocoder(hifigan(), {"generator": torch.nn.Linear(1, 1)}, tmp_path / "x")


def test_a_program_that_gives_other_samples_is_refused(tmp_path, monkeypatch):
    recipe = wavegan()

    class Other:
        def module(self):
            return lambda **_: torch.zeros(2, SAMPLES)

    monkeypatch.setattr(torch.export, "load", lambda _: Other())
    with pytest.raises(CheckpointError, match=r"samples differ by|in place of"):
        programs.shots(recipe, recipe.networks(), tmp_path / "x")
