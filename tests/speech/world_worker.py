"""One process of a gloo group: plays speech from text in float64 and writes the final parameters. Run by test_world."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent))
from small_speech import INFO, SMALL, batch_of

from polygan import TrainerSettings
from polygan.training.checkpoint import Checkpoints
from polygan.training.distributed import world_from_environment
from polygan.training.trainer import Trainer
from polygan_speech.settings import Config
from polygan_speech.tacotron2 import TextToSpeech

TWO = {
    **INFO,
    "classes": ["ann", "bob"],
    "pitch_mean": [5.0, 5.3],
    "pitch_deviation": [0.2, 0.3],
    "spoken_in": {"en": {"bead": "bed"}, "it": {"bead": "babe"}},
}
"""Two speakers of two languages, who read a transcript in two ways."""
STEPS, STOPS = 6, (0, 1, 3, 5)
"""Stopped while the aligner learns alone, in the spectra and in the game (0: in one go)."""


class Double(TextToSpeech):
    """Networks in float64, so that only the order of sums differs between numbers of processes."""

    def networks(self):
        return {name: network.double() for name, network in super().networks().items()}


class Share:
    """The clips of global batch i that belong to this rank. Shares have other longest clips than the whole batch."""

    def __init__(self, rank, world):
        self.rank, self.world = rank, world

    def batch(self, i):
        texts = (["deed", "bead", "a bad ace", "be"], ["decade", "a", "bead", "abcab"])[i % 2]
        labels = ([0, 1, 1, 0], [1, 0, 0, 1])[i % 2]
        n = 4 // self.world
        rows = slice(self.rank * n, (self.rank + 1) * n)
        mine = {name: x[rows] for name, x in batch_of(texts, labels).items()}
        for name in ("waveform", "text"):
            mine[name] = mine[name][:, : int(mine[f"{name}_length"].max())]
        return {name: x.double() if x.is_floating_point() else x for name, x in mine.items()}


def main(out: str) -> None:
    torch.set_num_threads(1)
    with world_from_environment("cpu", 60) as (world, device):
        tensors = {}
        for split in STOPS if world.size > 1 else (0,):
            checkpoints = Checkpoints(Path(out).with_suffix("") / str(split), writable=world.first)
            settings = TrainerSettings(steps=STEPS, batch_size=4, precision="fp32", hang_timeout=0)

            def trainer(settings=settings, checkpoints=checkpoints):
                options = {"dropout": 0.0, "align_steps": 2, "pretrain_steps": 4, "language": "en,it"}
                recipe = Double(Config(**{**SMALL, **options}), TWO)
                streams = {"train": Share(world.rank, world.size)}
                return Trainer(recipe, streams, settings, device=device, world=world, checkpoints=checkpoints)

            played = trainer()
            if split:
                for _ in range(split):
                    played.iterate()
                played.save()
                world.barrier()
                played = trainer()
                played.restore(checkpoints.load())
            played.fit()
            for player, network in played.networks().items():
                for key, value in network.state_dict().items():
                    tensors[f"{split}/{player}.{key}"] = value.clone(memory_format=torch.contiguous_format)
        if world.rank == world.size - 1:  # every process must hold the same state; look at the last one's
            save_file(tensors, out)
