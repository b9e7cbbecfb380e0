"""Small networks that take a recording, as ONNX files, and sounds for them."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import torch
from torch import nn

from polygan_audio.formats import recordings
from polygan_audio.networks import parallel_wavegan, vocos
from polygan_audio.networks.melspec import MelSpec
from polygan_speech.conversion import recordings as conversions
from polygan_speech.conversion.settings import Config, Exported
from polygan_speech.voice_conversion import VoiceConversion

RATE = 8000
MEL = MelSpec(sample_rate=RATE, n_fft=256, win_length=256, hop_length=64, n_mels=20, fmax=4000)
NAMES = ["ann", "<b>bob</b>", "cleo"]
PITCHES = [5.3, 4.7, 5.0]


def vocoder():
    """A Vocos of random weights."""
    torch.manual_seed(0)
    generator = vocos.Generator(MEL, 16, 32, 1, prior="pseudo-inverse").eval()
    nn.init.normal_(generator.head.weight, 0, 0.1)
    return generator


def noisy_vocoder():
    """A Parallel WaveGAN from noise, of random weights."""
    torch.manual_seed(0)
    shape = parallel_wavegan.Shape(layers=2, stacks=1, channels=8, gates=16, skips=8, scales=(8, 8))
    return parallel_wavegan.Generator(shape, MEL).eval()


def resynthesis(path, generator):
    """The ONNX file of a vocoder that takes recordings."""
    recipe = SimpleNamespace(origin={"recipe": "audio/vocos", "step": 3}, runs=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return recordings.export(recipe, {"generator": generator}, path, recordings.Exported(given="recording"))[0]


def voices(names=NAMES):
    """A voice conversion of random weights: recipe and generator."""
    facts = {
        name: {
            "mel_mean": [-5.0 - 0.5 * (i % 3)] * 20,
            "mel_deviation": [2.0] * 20,
            "pitch_mean": PITCHES[i % 3],
            "pitch_deviation": 0.2,
        }
        for i, name in enumerate(names)
    }
    info = {"sample_rate": RATE, "segment": 0, "count": 8, "classes": list(names), "symbols": " Haeio", "voices": facts}
    size = {"n_fft": 256, "hop_length": 64, "n_mels": 20, "fmax": 4000.0, "dim": 8, "hidden": 16, "blocks": 2}
    recipe = VoiceConversion(Config(**size, discriminator_width=4, recogniser_dim=8, recogniser_blocks=1), info)
    generator = recipe.networks()["generator"].eval()
    torch.manual_seed(0)
    for p in generator.parameters():
        nn.init.normal_(p, std=0.1)
    return recipe, generator


def conversion(path, recipe, generator, heard):
    """The ONNX file of a voice conversion that takes recordings; ``heard``: its vocoder, as `polygan_audio.vocoding.network` finds one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return conversions.export(recipe, {"generator": generator}, path, Exported(vocoder=heard))[0]


def spoken(seconds, rate=RATE, pitch=150.0):
    """A voice whose loudness swells, (T,)."""
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    harmonics = torch.stack([(2 * torch.pi * n * pitch * time).sin() / n for n in range(1, 9)]).sum(0)
    return (0.2 * harmonics * (0.5 + 0.5 * (7 * time).sin())).float()
