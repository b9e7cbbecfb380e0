"""Generators of sound as programs of torch: loaded again, they give the generator's samples for any batch and length."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from small_generators import MEL, made
from small_vocoders import hifigan
from small_wavegan import INFO, SAMPLES, wavegan

import polygan
from polygan import CheckpointError, ConfigError
from polygan_audio.formats import onnx, shots
from polygan_audio.networks import parallel_wavegan, vocos
from polygan_audio.networks.excitation import GriffinLim
from polygan_audio.networks.melspec import resolve

PWG_MEL = resolve("parallel_wavegan", 16_000, n_fft=256, hop_length=64, n_mels=20)
PWG = parallel_wavegan.Shape(layers=4, stacks=2, channels=4, gates=8, skips=4, scales=(4, 4, 4))


def small_vocos(prior):
    generator = vocos.Generator(MEL, 16, 32, 1, prior=prior, iterations=2)
    nn.init.normal_(generator.head.weight, 0, 0.3)
    return generator


def small_wavenet(iterations, causal):
    generator = parallel_wavegan.Generator(dataclasses.replace(PWG, causal=causal), PWG_MEL, iterations=iterations)
    nn.init.ones_(generator.last_conv_layers["3"].parametrizations.weight.original0)
    return generator


VOCODERS = {
    "hifigan": made,
    "vocos": lambda: small_vocos("pseudo-inverse"),
    "vocos without a prior": lambda: small_vocos("none"),
    "vocos on Griffin-Lim": lambda: small_vocos("griffin-lim"),
    "griffin-lim": lambda: GriffinLim(dataclasses.replace(MEL, n_fft=512, win_length=512, hop_length=128), 2, 3),
    "parallel-wavegan": lambda: small_wavenet(0, False),
    "causal parallel-wavegan": lambda: small_wavenet(0, True),
    "parallel-wavegan on Griffin-Lim": lambda: small_wavenet(2, False),
}
LONG = {*VOCODERS} - {"vocos", "griffin-lim", "parallel-wavegan"}
"""Of these, torch reasons about free lengths for longer, or they differ little from others."""


def opened(path):
    extra = {"polygan": ""}
    return torch.export.load(path, extra_files=extra).module(), json.loads(extra["polygan"])


def test_short_sounds(tmp_path):
    recipe = wavegan()
    networks = recipe.networks()
    (path,) = shots.program(recipe, networks, tmp_path / "new/shots")
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


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in VOCODERS])
def test_a_vocoder(tmp_path, name):
    torch.manual_seed(0)
    generator = VOCODERS[name]().eval()
    spec = generator.mel
    (path,) = onnx.program(hifigan(), {"generator": generator}, tmp_path / "vocoder")
    assert path == tmp_path / "vocoder.pt2"
    run, facts = opened(path)
    assert (facts["kind"], facts["mel"]["n_mels"], facts["least"]) == ("vocoder", spec.n_mels, 3)
    for n, frames in ((1, 40), (3, 17), (2, 3)):
        mel = torch.randn(n, spec.n_mels, frames) - 1
        noisy = isinstance(generator, parallel_wavegan.Generator) and not generator.iterations
        noise = {"noise": torch.randn(n, frames * spec.hop_length)} if noisy else {}
        with torch.no_grad():
            expected = generator(mel, *noise.values())
        assert expected.shape == (n, frames * spec.hop_length)
        assert expected.std() > 1e-3
        assert (run(mel=mel, **noise) - expected).abs().max() < 1e-4 * max(1, expected.abs().max())
    assert str(Path(polygan.__file__).parent).encode() not in path.read_bytes()


@pytest.mark.parametrize("write", [onnx.export, onnx.program])
def test_another_network_is_refused(tmp_path, write):
    with pytest.raises(ConfigError, match="takes the generator of a vocoder; this is a Linear"):
        write(hifigan(), {"generator": nn.Linear(1, 1)}, tmp_path / "x")


def test_a_program_that_gives_other_samples_is_refused(tmp_path, monkeypatch):
    recipe = wavegan()

    class Other:
        def module(self):
            return lambda **_: torch.zeros(2, SAMPLES)

    monkeypatch.setattr(torch.export, "load", lambda _: Other())
    with pytest.raises(CheckpointError, match=r"its source: samples (differ by|have the shape)"):
        shots.program(recipe, recipe.networks(), tmp_path / "x")
