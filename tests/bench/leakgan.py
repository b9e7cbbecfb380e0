"""LeakGAN's generator step (batch 64, length 20, vocabulary 5000, 4 rollouts every 4 tokens)."""

from __future__ import annotations

import time

import torch
from timing import interleave, table

from polygan.settings.trainer import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_text.leakgan import LeakGAN
from polygan_text.leaking.settings import Config

BATCH, LENGTH, VOCABULARY = 64, 20, 5000
INFO = {"vocabulary": VOCABULARY, "length": LENGTH, "start": 0, "eos": None, "classes": []}


def trainer(phase, **options):
    """A trainer that plays one phase alone: ``g`` of the game, or ``mle``."""
    recipe = LeakGAN(Config(mle_steps=0 if phase == "g" else 10**9, teach_every=0, **options), INFO)
    turns = [t for t in recipe.turns() if t.name in (phase, "leak")]
    recipe.turns = lambda: turns
    stream = RepeatedBatch({"tokens": torch.randint(VOCABULARY, (BATCH, LENGTH))})
    settings = TrainerSettings(steps=10**9, batch_size=BATCH, precision="fp32", hang_timeout=0)
    return Trainer(recipe, {"train": stream, "held_out": stream}, settings).iterate


def bench_leakgan(rounds):
    """The time of a step of each preset, with the paper's 1,720 features and with the default's 704."""
    begin = time.monotonic()
    runners = {
        f"{phase} step, preset {preset}, {width} features": trainer(phase, preset=preset, filters=filters)
        for phase in ("g", "mle")
        for filters, width in (("paper", 1720), ("default", 704))
        for preset in ("paper", "code")
    }
    times = interleave(runners, min(rounds, 3))
    table(f"LeakGAN, fp32, {torch.get_num_threads()} threads", [(k, f"{t:.2f} s") for k, t in times.items()])
    print(f"  ({time.monotonic() - begin:.0f} s)")
