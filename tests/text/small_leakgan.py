"""A small LeakGAN, for the tests of this folder."""

from __future__ import annotations

import torch

from polygan import Context, TrainerSettings
from polygan.game.protocol import complete_players
from polygan_text.leakgan import LeakGAN
from polygan_text.leaking.settings import Config

INFO = {"vocabulary": 12, "length": 9, "start": 0, "eos": 1, "classes": []}
SMALL = {
    "embedding_dim": 4,
    "hidden_dim": 6,
    "goal_dim": 3,
    "goal_steps": 2,
    "discriminator_embedding_dim": 4,
    "rollouts": 2,
    "rollout_every": 2,
    "discriminator_steps": 1,
    "mle_steps": 3,
    "pretrain_every": 1,
    "check_every": 2,
    "teach_every": 1,
    "teach_steps": 1,
}


def recipe(info=INFO, **options):
    return LeakGAN(Config(**{**SMALL, **options}), info)


def context(made, seed=0):
    torch.manual_seed(seed)
    training, networks = TrainerSettings(), made.networks()
    ctx = Context(complete_players(networks, made.players(networks, training)), torch.device("cpu"), training)
    ctx.noise.reset(seed)
    return ctx
