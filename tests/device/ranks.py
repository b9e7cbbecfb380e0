"""One process of several: trains the GAN of the tests in float64. ``torchrun ranks.py DEVICE OUT``, started by correctness.py."""

from __future__ import annotations

import os
import sys

import torch

import polygan
from polygan.training.distributed import World, world_from_environment
from toy_gan import MLPGAN, Config

BATCH, STEPS = 16, 6


class Share:
    """The rows of global batch i that belong to this process."""

    def __init__(self, world: World) -> None:
        self.world = world

    def batch(self, i: int) -> polygan.Batch:
        """Points (BATCH / processes, 2)."""
        points = torch.randn(BATCH, 2, generator=torch.Generator().manual_seed(i), dtype=torch.float64)
        n = BATCH // self.world.size
        return {"point": points[self.world.rank * n : (self.world.rank + 1) * n]}


def main(device_name: str, out: str) -> None:
    """Train, and let the last process write its state."""
    with world_from_environment(device_name, 60) as (world, device):
        settings = polygan.TrainerSettings(steps=STEPS, batch_size=BATCH, precision="fp32", hang_timeout=0)
        recipe = MLPGAN(Config(double=True, r1=1.0, r1_every=2), {})
        trainer = polygan.Trainer(recipe, {"train": Share(world)}, settings, device=device, world=world)
        trainer.fit()
        if world.rank == world.size - 1:
            found = {}
            for name, network in trainer.networks().items():
                found |= {f"{name}.{key}": value.cpu() for key, value in network.state_dict().items()}
            torch.save(found, out)
        world.barrier()
        os._exit(0)  # as the command line does: gloo's teardown now and then aborts a process


if __name__ == "__main__":
    main(*sys.argv[1:])
