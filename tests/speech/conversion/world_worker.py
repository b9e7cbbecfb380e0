"""One process of a gloo group: plays voice conversion in float64 and writes the final parameters. Run by test_world."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import INFO, SMALL, batch

from polygan import TrainerSettings
from polygan.training.distributed import world_from_environment
from polygan.training.trainer import Trainer
from polygan_speech.conversion.settings import Config
from polygan_speech.voice_conversion import VoiceConversion

STEPS = 8


class Double(VoiceConversion):
    """Networks in float64, so that only the order of sums differs between numbers of processes."""

    def networks(self):
        return {name: network.double() for name, network in super().networks().items()}


class Share:
    """The rows of global batch i that belong to this rank, as short as its own clips allow."""

    def __init__(self, rank, world):
        self.rank, self.world = rank, world

    def batch(self, i):
        whole = batch((2000 + 100 * i, 1500, 900, 2600 - 50 * i), dtype=torch.float64)
        n = 4 // self.world
        own = {name: value[self.rank * n : (self.rank + 1) * n] for name, value in whole.items()}
        return own | {
            "waveform": own["waveform"][:, : int(own["waveform_length"].max())],
            "text": own["text"][:, : max(1, int(own["text_length"].max()))],
        }


def main(out: str) -> None:
    torch.set_num_threads(1)
    with world_from_environment("cpu", 60) as (world, device):
        settings = TrainerSettings(steps=STEPS, batch_size=4, precision="fp32", hang_timeout=0)
        # Frames of others are looked for within the share of a process, so two processes find other ones than one.
        recipe = Double(Config(**SMALL, matched=0.0), INFO)
        played = Trainer(recipe, {"train": Share(world.rank, world.size)}, settings, device=device, world=world)
        played.fit()
        if world.rank == world.size - 1:
            tensors = {
                f"{player}.{key}": value.clone(memory_format=torch.contiguous_format)
                for player, network in played.networks().items()
                for key, value in network.state_dict().items()
            }
            save_file(tensors, out)
