"""A small HiFi-GAN and a small Vocos, for the tests of this folder."""

from __future__ import annotations

import torch

from polygan import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_audio import vocos
from polygan_audio.hifigan import Config, HiFiGAN

INFO = {"sample_rate": 16_000, "segment": 2048, "count": 50}
SMALL = {"channels": 16, "discriminator_width": 8, "variant": "v2"}


def hifigan(info=INFO, **options):
    return HiFiGAN(Config(**{**SMALL, **options}), info)


def small_vocos(info=INFO, **options):
    return vocos.Vocos(
        vocos.Config(**{"dim": 16, "hidden": 32, "blocks": 2, "iterations": 4, "pretrain_steps": 2, **options}), info
    )


def waveforms(n=2, samples=2048):
    time = torch.arange(samples) / 16_000
    pitch = 200 * 2 ** torch.arange(n)
    return 0.3 * torch.sin(2 * torch.pi * pitch[:, None] * time) + 0.01 * torch.randn(n, samples)


def trainer(recipe, batch, checkpoints=None, **settings):
    size = len(batch["waveform"])
    settings = TrainerSettings(**{"steps": 100, "batch_size": size, "precision": "fp32", "hang_timeout": 0, **settings})
    return Trainer(recipe, {"train": RepeatedBatch(batch)}, settings, checkpoints=checkpoints)
