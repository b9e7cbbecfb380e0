"""A small voice conversion, and batches of two made-up speakers, for the tests of this folder."""

from __future__ import annotations

import math

import torch

from polygan import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_speech.conversion.settings import Config
from polygan_speech.voice_conversion import VoiceConversion

RATE = 8000
FRONT = {"n_fft": 256, "hop_length": 64, "n_mels": 20, "fmax": 4000.0}
SMALL = {
    **FRONT,
    "dim": 8,
    "hidden": 16,
    "blocks": 2,
    "discriminator_width": 4,
    "recogniser_dim": 8,
    "recogniser_blocks": 2,
    "window": 16,
    "pretrain_steps": 2,
    "recogniser_steps": 3,
}
INFO = {"sample_rate": RATE, "segment": 0, "count": 8, "classes": ["ann", "bob"], "symbols": " ,Haeio"}
TEXTS = ("Ha io", "", "oo", "hei, ho")


def conversion(info=INFO, **options):
    return VoiceConversion(Config(**{**SMALL, **options}), info)


def voice(pitch, samples, seed=0):
    """Harmonics of a pitch in Hz under two formants, and a little noise."""
    time = torch.arange(samples, dtype=torch.float64) / RATE
    count = int(RATE / 2 / pitch - 1e-6)
    order = torch.arange(1, count + 1, dtype=torch.float64)[:, None]
    height = 1 / (1 + ((order * pitch - 600) / 300) ** 2) + 0.3 / (1 + ((order * pitch - 1800) / 300) ** 2)
    sound = (height * torch.cos(2 * math.pi * pitch * order * time)).sum(0)
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (0.2 * sound / sound.abs().max() + 0.001 * noise).float()


def batch(lengths=(2000, 1500, 900, 2600), texts=TEXTS, dtype=torch.float32, room=0):
    """Clips of two speakers with their transcripts, as the domain gives them; ``room``: samples more than the longest has."""
    waveform = torch.zeros(len(lengths), max(lengths) + room, dtype=dtype)
    text = torch.zeros(len(lengths), max(1, *(len(t.encode()) for t in texts)), dtype=torch.uint8)
    for i, (length, words) in enumerate(zip(lengths, texts, strict=True)):
        waveform[i, :length] = voice((210.0, 115.0)[i % 2], length, i).to(dtype)
        text[i, : len(words.encode())] = torch.tensor(list(words.encode()), dtype=torch.uint8)
    return {
        "waveform": waveform,
        "waveform_length": torch.tensor(lengths),
        "text": text,
        "text_length": torch.tensor([len(t.encode()) for t in texts]),
        "label": torch.arange(len(lengths)) % 2,
    }


def trainer(recipe, given, **settings):
    settings = {"steps": 100, "batch_size": len(given["waveform"]), "precision": "fp32", "hang_timeout": 0, **settings}
    return Trainer(recipe, {"train": RepeatedBatch(given)}, TrainerSettings(**settings))
