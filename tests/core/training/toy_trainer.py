"""Trainers of the toy recipe without a run: batches by a seed, short trainings, and comparisons of parameters."""

from __future__ import annotations

import torch

from polygan.settings.trainer import TrainerSettings
from polygan.training.trainer import Trainer
from toy_gan import MLPGAN, Config


class Points:
    """Batch i of normal points by a seed."""

    def __init__(self, size, seed=0):
        self.size, self.seed = size, seed

    def batch(self, i):
        generator = torch.Generator().manual_seed(1000 * self.seed + i)
        return {"point": torch.randn(self.size, 2, generator=generator)}


def make(config=None, *, steps=12, batch=16, checkpoints=None, listener=None, device="cpu", **settings):
    settings = {"precision": "fp32", "hang_timeout": 0, "log_every": 4, "save_every": 4, **settings}
    return Trainer(
        MLPGAN(config or Config(), {}),
        {"train": Points(batch)},
        TrainerSettings(steps=steps, batch_size=batch, **settings),
        checkpoints=checkpoints,
        listener=listener,
        device=device,
    )


def parameters(trainer):
    names = trainer.networks(averaged=False) | {
        f"{k}.ema": v for k, v in trainer.networks().items() if trainer.actors[k].averaged is not None
    }
    return {f"{n}.{k}": v.clone() for n, m in names.items() for k, v in m.state_dict().items()}


def assert_equal(a, b, tolerance=0.0):
    assert a.keys() == b.keys()
    for k in a:
        difference = (a[k].double() - b[k].double()).abs().max().item()
        assert difference <= tolerance, f"{k} differs by {difference}"


def train(**kw):
    trainer = make(**kw)
    trainer.fit()
    return trainer
