"""A small model of speech with attention, in networks that were not trained, and its files."""

from __future__ import annotations

import dataclasses

import torch

from polygan_audio import vocoding
from polygan_audio.networks.parallel_wavegan import Generator as WaveGAN
from polygan_audio.networks.parallel_wavegan import Shape as WaveShape
from polygan_speech.attention import Shape, Tacotron2
from polygan_speech.parallel.onnx import export
from polygan_speech.settings import Config, Exported
from polygan_speech.tacotron2 import TextToSpeech

INFO = {
    "sample_rate": 8_000,
    "segment": 0,
    "symbols": " ,.abcdefghijklmnopqrstuvwxyz",
    "spoken": {},
    "longest_text": 60,
    "count": 12,
    "classes": ["ann", "bob"],
    "pitch_mean": [5.0, 5.0],
    "pitch_deviation": [0.2, 0.2],
    "mel_mean": [-6.0] * 20,
    "mel_deviation": [2.0] * 20,
}
TINY = Shape(
    width=16, prenet=12, attention_units=20, decoder_units=24, attention=8, location_filters=4, location_kernel=7, postnet=10,
    postnet_layers=3, reduction=2,
)  # fmt: skip


def voice(gate=-50.0, **changes):
    """A recipe and its networks; ``gate`` is what the stop gate says of every frame, about."""
    config = Config(n_fft=256, hop_length=64, n_mels=20, fmax=4000, decoder="attention")
    recipe = TextToSpeech(config, INFO)
    torch.manual_seed(0)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    network = Tacotron2(len(recipe.spelling.alphabet), 20, dataclasses.replace(TINY, **changes), 2).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        network.decoder.gate_layer.bias.fill_(gate)
    networks["generator"].network = network
    return recipe, networks


def files(recipe, networks, folder, monkeypatch):
    """The ONNX files with a vocoder that hears noise, and that vocoder."""
    torch.manual_seed(1)
    shape = WaveShape(layers=2, stacks=1, channels=4, gates=6, skips=5, scales=(4, 4, 4), window=1)
    vocoder = WaveGAN(shape, recipe.mel).eval()
    monkeypatch.setattr(vocoding, "network", lambda name, spec, runs=None: vocoder)
    return export(recipe, networks, folder / "voice.onnx", Exported(vocoder="any")), vocoder
