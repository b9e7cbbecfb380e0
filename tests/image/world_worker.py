"""One process of a gloo group: plays recipes of pictures in float64 and writes the final networks. Run by test_world."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from polygan import Noise, TrainerSettings
from polygan.training.checkpoint import Checkpoints
from polygan.training.distributed import world_from_environment
from polygan.training.trainer import Trainer
from polygan_image import base, colorize, dcgan, r3gan, stylegan, superres
from polygan_image.data.given import grey

FACTS = {"channels": 3, "classes": ["a", "b", "c"], "count": 90}
ADA = {"augment": "ada", "augment_target": 0.01, "augment_horizon": 80.0}
PAIRS = {"mode_seeking": 0.0}  # a ratio over the pairs of a process's share, as batch norm is: not the same for two
STYLE = {"latent_dim": 8, "channel_base": 32, "channel_max": 4}
RELATIVISTIC = {"latent_dim": 6, "generator_width": 4, "discriminator_width": 4, "depth": 1, "group": 2}
COLOURS = {"width": 4, "depth": 2, "discriminator_width": 4, "discriminator_layers": 1}
ENLARGE = {"width": 4, "depth": 1, "discriminator_width": 4, "discriminator_layers": 1}
SIDES = {stylegan.StyleGAN: 32, colorize.Colorize: 16, superres.SuperResolution: 16}
GREY = {"pairs": "grey"}
CASES = {
    "stylegan-ada-path": (
        stylegan.StyleGAN,
        stylegan.Config(**STYLE, **ADA, **PAIRS, path_weight=2.0, path_every=2, r1_every=2),
    ),
    "dcgan": (
        dcgan.DCGAN,
        dcgan.Config(latent_dim=6, generator_width=4, discriminator_width=4),
    ),  # batch norm: not the same
    "r3gan-ada": (r3gan.R3GAN, r3gan.Config(**RELATIVISTIC, **ADA, **PAIRS)),
    "colorize": (
        colorize.Colorize,
        colorize.Config(**COLOURS, regression_steps=1, check_every=1, check_batches=2, patience=1, margin=0.5),
    ),
    "superres-camera": (
        superres.SuperResolution,
        superres.Config(**ENLARGE, regression_steps=1, degradation="camera"),
    ),
}
STEPS, BATCH = 3, 8
base.ADAPT_EVERY = 1  # an odd number of moves of p, also after the stop


class DoubleNoise(Noise):
    """Draws in float64, so that only the order of sums differs between numbers of processes."""

    def _draw(self, n, draw):
        numbers = super()._draw(n, draw)
        return numbers.double() if numbers.is_floating_point() else numbers


class Share:
    """The rows of global batch i that belong to this rank."""

    def __init__(self, rank, world, side):
        self.rank, self.world, self.side = rank, world, side

    def batch(self, i):
        generator = torch.Generator().manual_seed(i)
        image = torch.rand(BATCH, 3, self.side, self.side, generator=generator, dtype=torch.float64) * 2 - 1
        n = BATCH // self.world
        mine = slice(self.rank * n, (self.rank + 1) * n)
        return {"image": image[mine], "given": grey(image[mine]), "label": (torch.arange(BATCH) % 3)[mine]}


def play(kind, config, steps, world, device, checkpoints, *, resume=False):
    class Double(kind):
        def networks(self):
            networks = super().networks()
            return {n: network if n == "augmentation" else network.double() for n, network in networks.items()}

    settings = TrainerSettings(steps=steps, batch_size=BATCH, precision="fp32", hang_timeout=0)
    side = SIDES.get(kind, 8)
    info = {**FACTS, "height": side, "width": side, **({} if kind is superres.SuperResolution else GREY)}
    streams = dict.fromkeys(("train", "held_out"), Share(world.rank, world.size, side))
    trainer = Trainer(Double(config, info), streams, settings, device=device, world=world, checkpoints=checkpoints)
    trainer.context.noise = DoubleNoise(device)
    if "augmentation" in trainer.actors:
        trainer.actors["augmentation"].module.p.fill_(0.5)  # from where it can move both ways
    if resume:
        world.barrier()
        trainer.restore(checkpoints.load())
    trainer.fit()
    return trainer


def main(out: str) -> None:
    torch.set_num_threads(1)
    with world_from_environment("cpu", 60) as (world, device):
        tensors = {}
        for name, (kind, config) in CASES.items():
            for split in (0, 1):  # 0: in one go; else stopped there and resumed
                checkpoints = Checkpoints(Path(out).with_suffix("") / f"{name}{split}", writable=world.first)
                if split:
                    play(kind, config, split, world, device, checkpoints)
                trainer = play(kind, config, STEPS, world, device, checkpoints, resume=bool(split))
                for averaged in (True, False):
                    for player, network in trainer.networks(averaged=averaged).items():
                        for key, value in network.state_dict().items():
                            copy = value.clone(memory_format=torch.contiguous_format)
                            tensors[f"{name}/{split}/{player}{averaged}.{key}"] = copy
        if world.rank == world.size - 1:  # every process must hold the same state; look at the last one's
            save_file(tensors, out)
