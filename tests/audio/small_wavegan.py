"""A small WaveGAN and batches of short sounds, for the tests of this folder."""

from __future__ import annotations

import torch

from polygan import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_audio.wavegan import Config, WaveGAN

SAMPLES = 1024
INFO = {"sample_rate": 16_000, "segment": SAMPLES, "count": 50, "classes": ["hat", "kick"]}
NOTES = {**INFO, "classes": ["A3", "C4"]}
SMALL = {"width": 2, "latent_dim": 4, "embedding_dim": 2, "spectra": (256,), "penalty_every": 2}
MEL = {"generator": "spectrogram", "n_fft": 256, "hop_length": 64, "n_mels": 16}


def wavegan(info=INFO, **options):
    return WaveGAN(Config(**{**SMALL, **options}), info)


def batch(n=4, samples=SAMPLES, seed=0):
    generator = torch.Generator().manual_seed(seed)
    decay = torch.exp(-torch.arange(samples) / 200)
    return {"waveform": 0.3 * decay * torch.randn(n, samples, generator=generator), "label": torch.arange(n) % 2}


def trainer(recipe, given=None, **settings):
    given = given or batch()
    settings = {"steps": 100, "batch_size": len(given["waveform"]), "precision": "fp32", "hang_timeout": 0, **settings}
    return Trainer(recipe, {"train": RepeatedBatch(given)}, TrainerSettings(**settings))
