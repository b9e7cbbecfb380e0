"""One process of a gloo group: plays the vocoders in float64 and writes the final parameters. Run by test_world."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from polygan import TrainerSettings
from polygan.training.checkpoint import Checkpoints
from polygan.training.distributed import world_from_environment
from polygan.training.trainer import Trainer
from polygan_audio import hifigan, parallel_wavegan, vocos, wavegan

INFO = {"sample_rate": 16_000, "segment": 2048, "count": 50}
STEPS = 10


def doubled(kind, config):
    """A recipe whose networks are in float64, so that only the order of sums differs between numbers of processes."""

    class Double(kind):
        def networks(self):
            return {name: network.double() for name, network in super().networks().items()}

    return Double(config, INFO)


# The spectral convergence of Vocos and Parallel WaveGAN is a ratio over a process's own share, and not the same.
RECIPES = {
    "hifigan": lambda: doubled(
        hifigan.HiFiGAN, hifigan.Config(variant="v2", channels=16, discriminator_width=8, epoch=2)
    ),
    "vocos": lambda: doubled(
        vocos.Vocos,
        vocos.Config(dim=8, hidden=16, blocks=2, pretrain_steps=3, stft_weight=0, ema_half_life=50),
    ),
    "wavegan": lambda: doubled(
        wavegan.WaveGAN,
        wavegan.Config(width=2, latent_dim=4, spectra=(256,), penalty_every=2, ema_half_life=50, augment_horizon=100),
    ),
    "parallel-wavegan": lambda: doubled(
        parallel_wavegan.ParallelWaveGAN,
        parallel_wavegan.Config(
            layers=4,
            stacks=2,
            channels=4,
            discriminator_channels=4,
            discriminator_start=6,
            convergence_weight=0,
            n_fft=512,
            hop_length=128,
        ),
    ),
}


class Share:
    """The rows of global batch i that belong to this rank."""

    def __init__(self, rank, world):
        self.rank, self.world = rank, world

    def batch(self, i):
        generator = torch.Generator().manual_seed(i)
        waveform = torch.tensor([[0.1], [0.02]]) * torch.randn(2, 2048, generator=generator, dtype=torch.float64)
        n = 2 // self.world
        return {"waveform": waveform[self.rank * n : (self.rank + 1) * n]}


def main(out: str) -> None:
    torch.set_num_threads(1)
    with world_from_environment("cpu", 60) as (world, device):
        tensors = {}
        for kind, make in RECIPES.items():
            for split in (0, 4, 8)[
                : 1 + 2 * (world.size - 1)
            ]:  # 0: in one go; else stopped there and resumed (two processes only)
                checkpoints = Checkpoints(Path(out).with_suffix("") / f"{kind}{split}", writable=world.first)
                settings = TrainerSettings(steps=STEPS, batch_size=2, precision="fp32", hang_timeout=0)

                def trainer(make=make, settings=settings, checkpoints=checkpoints):
                    streams = {"train": Share(world.rank, world.size)}
                    return Trainer(make(), streams, settings, device=device, world=world, checkpoints=checkpoints)

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
                        tensors[f"{kind}/{split}/{player}.{key}"] = value.clone(memory_format=torch.contiguous_format)
        if world.rank == world.size - 1:  # every process must hold the same state; look at the last one's
            save_file(tensors, out)
