"""One process of a gloo group: trains the toy in several cases and writes the final parameters. Run by test_distributed."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[2]))
from polygan.settings.trainer import TrainerSettings
from polygan.training.distributed import world_from_environment
from polygan.training.trainer import Trainer
from toy_gan import MLPGAN, Config

CASES = {
    "hinge-inline-r1": Config(loss="hinge", r1=0.5),
    "lazy-r1": Config(r1=1.0, r1_every=2),
    "critic-steps": Config(critic_steps=2, loss="relativistic"),
    "policy-gradient": Config(policy=True),
    "adam-minimax": Config(),
}


class Share:
    """The rows of global batch i that belong to this rank."""

    def __init__(self, size, rank, world):
        self.size, self.rank, self.world = size, rank, world

    def batch(self, i):
        points = torch.randn(self.size, 2, generator=torch.Generator().manual_seed(i), dtype=torch.float64)
        n = self.size // self.world
        return {"point": points[self.rank * n : (self.rank + 1) * n].float()}


def main(out: str) -> None:
    torch.set_num_threads(1)
    with world_from_environment("cpu", 60) as (world, device):
        tensors = {}
        for name, config in CASES.items():
            for double in (True, False):
                recipe = MLPGAN(Config(**{**vars(config), "double": double}), {})
                settings = TrainerSettings(steps=8, batch_size=16, precision="fp32", hang_timeout=0)
                streams = {"train": Share(16, world.rank, world.size)}
                trainer = Trainer(recipe, streams, settings, device=device, world=world)
                trainer.fit()
                for player, network in trainer.networks().items():
                    for key, value in network.state_dict().items():
                        tensors[f"{name}/{'f64' if double else 'f32'}/{player}.{key}"] = value.clone()
        recipe = MLPGAN(Config(batch_norm=True), {})
        settings = TrainerSettings(steps=3, batch_size=16, precision="fp32", hang_timeout=0)
        trainer = Trainer(recipe, {"train": Share(16, world.rank, world.size)}, settings, device=device, world=world)
        trainer.fit()
        for key, value in trainer.actors["generator"].module.state_dict().items():
            tensors[f"batch-norm/{key}"] = value.clone().double()
        if world.rank == world.size - 1:  # every process must hold the same state; look at the last one's
            save_file(tensors, out)
