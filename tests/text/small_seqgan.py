"""A small SeqGAN and its trainer, for the tests of this folder."""

from __future__ import annotations

import torch

from polygan import Context, TrainerSettings
from polygan.game.protocol import complete_players
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_text.seqgan import SeqGAN
from polygan_text.settings import Config

INFO = {"vocabulary": 12, "length": 6, "start": 0, "eos": 1, "classes": []}
SMALL = {"embedding_dim": 4, "hidden_dim": 6, "discriminator_embedding_dim": 4, "rollouts": 2, "discriminator_steps": 1}
PHASES = {"mle_steps": 4, "pretrain_steps": 2, "check_every": 2, "check_texts": 32}


def recipe(info=INFO, **options):
    return SeqGAN(Config(**{**SMALL, **PHASES, **options}), info)


def context(made, seed=0):
    torch.manual_seed(seed)
    training, networks = TrainerSettings(batch_size=8), made.networks()
    ctx = Context(complete_players(networks, made.players(networks, training)), torch.device("cpu"), training)
    ctx.noise.reset(seed)
    return ctx


def batch(n=8, classes=0, length=6):
    tokens = torch.randint(2, 12, (n, length), generator=torch.Generator().manual_seed(1))
    tokens[::2, -2:] = 1
    return {"tokens": tokens, **({"label": torch.arange(n) % classes} if classes else {})}


def train(made, steps, held_out=None, **options):
    streams = {"train": RepeatedBatch(batch()), "held_out": RepeatedBatch(held_out or batch())}
    settings = TrainerSettings(steps=steps, batch_size=8, precision="fp32", hang_timeout=0, **options)
    return Trainer(made, streams, settings)


def parameters(module):
    return torch.cat([torch.empty(0), *(p.detach().flatten() for p in module.parameters())])
