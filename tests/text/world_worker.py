"""One process of a gloo group: plays recipes of text in float64 and writes the final parameters. Run by test_world.

SeqGAN and LeakGAN go through all phases, `text/seq2seq` through maximum likelihood: its game depends on the share of a process.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent))
import small_pairs
import small_seq2seq

from polygan import TrainerSettings
from polygan.training.checkpoint import Checkpoints
from polygan.training.distributed import world_from_environment
from polygan.training.trainer import Trainer
from polygan_text.leakgan import LeakGAN
from polygan_text.leaking.settings import Config as LeakConfig
from polygan_text.rewriting.settings import Config as PairConfig
from polygan_text.seq2seq import Seq2Seq
from polygan_text.seqgan import SeqGAN
from polygan_text.settings import Config

INFO = {"vocabulary": 12, "length": 6, "start": 0, "eos": None, "classes": []}
SMALL = {"hidden_dim": 8, "discriminator_embedding_dim": 4, "rollouts": 2, "discriminator_steps": 1, "mle_steps": 3,
         "pretrain_steps": 2, "check_every": 2, "discriminator_dropout": 0.0, "discriminator_rate": 5e-5}  # fmt: skip
# Ranks and the program's scalars are of a process's own part of the batch, so LeakGAN plays the paper's losses without ranks.
LEAKY = {"hidden_dim": 8, "discriminator_embedding_dim": 4, "goal_steps": 2, "rollouts": 2, "rollout_every": 2, "delta": 0.0,
         "discriminator_steps": 1, "mle_steps": 3, "check_every": 2, "discriminator_dropout": 0.0, "teach_every": 2,
         "teach_steps": 1, "discriminator_rate": 5e-5}  # fmt: skip
PAIRS = {**small_seq2seq.SMALL, "dropout": 0.0, "mle_steps": 100, "coverage": 0.5, "check_every": 3}
STEPS = 8
POLICIES = ("lstm", "gpt2", "leakgan", "seq2seq")


class Double(SeqGAN):
    """Networks in float64, so that little but the order of sums differs between numbers of processes (logits are float32)."""

    def networks(self):
        return {name: network.double() for name, network in super().networks().items()}


class DoubleLeak(LeakGAN):
    """Networks in float64, as above."""

    def networks(self):
        return {name: network.double() for name, network in super().networks().items()}


class DoublePairs(Seq2Seq):
    """Networks in float64, as above."""

    def networks(self):
        return {name: network.double() for name, network in super().networks().items()}


def recipe_of(kind):
    """SeqGAN with this policy, or the recipe of this name."""
    if kind == "seq2seq":
        return DoublePairs(PairConfig(**PAIRS), small_seq2seq.INFO)
    if kind == "leakgan":
        return DoubleLeak(LeakConfig(**LEAKY), INFO)
    return Double(Config(preset="paper", policy=kind, **SMALL), INFO)


class Share:
    """The rows of global batch i that belong to this rank. Pairs have as many tokens in each half: their loss is a mean over tokens."""

    def __init__(self, rank, world, *, pairs):
        self.rank, self.world, self.pairs = rank, world, pairs

    def batch(self, i):
        if self.pairs:
            whole = small_pairs.batch(16, i)
        else:
            whole = {"tokens": torch.randint(12, (16, 6), generator=torch.Generator().manual_seed(i))}
        n = 16 // self.world
        return {name: x[self.rank * n : (self.rank + 1) * n] for name, x in whole.items()}


def main(out: str) -> None:
    torch.set_num_threads(1)
    with world_from_environment("cpu", 60) as (world, device):
        tensors = {}
        for policy in POLICIES:
            for split in (0, 4):  # 0: in one go; else stopped there and resumed
                checkpoints = Checkpoints(Path(out).with_suffix("") / f"{policy}{split}", writable=world.first)
                for steps in (split, STEPS) if split else (STEPS,):
                    recipe = recipe_of(policy)
                    share = Share(world.rank, world.size, pairs=policy == "seq2seq")
                    settings = TrainerSettings(steps=steps, batch_size=16, precision="fp32", hang_timeout=0)
                    streams = {"train": share, "held_out": share}
                    trainer = Trainer(recipe, streams, settings, device=device, world=world, checkpoints=checkpoints)
                    if steps == STEPS and split:
                        world.barrier()
                        trainer.restore(checkpoints.load())
                    trainer.fit()
                for player, network in trainer.networks().items():
                    for key, value in network.state_dict().items():
                        tensors[f"{policy}/{split}/{player}.{key}"] = value.clone(memory_format=torch.contiguous_format)
        if world.rank == world.size - 1:  # every process must hold the same state; look at the last one's
            save_file(tensors, out)
