"""A small LeakGAN, for the tests of this folder."""

from __future__ import annotations

from small_seqgan import context as context

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
    "check_texts": 32,
    "teach_every": 1,
    "teach_steps": 1,
}


def recipe(info=INFO, **options):
    return LeakGAN(Config(**{**SMALL, **options}), info)
