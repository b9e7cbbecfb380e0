"""Small HiFi-GAN generators, as official configurations describe them."""

from __future__ import annotations

import dataclasses

import torch

from polygan_audio.networks.hifigan import VARIANTS, Generator
from polygan_audio.networks.melspec import resolve

AUDIO = {
    "num_mels": 80,
    "n_fft": 1024,
    "hop_size": 256,
    "win_size": 1024,
    "sampling_rate": 22050,
    "fmin": 0,
    "fmax": 8000,
    "segment_size": 8192,
}

SMALL = AUDIO | {
    "resblock": "1",
    "upsample_rates": [8, 8, 4],
    "upsample_kernel_sizes": [16, 16, 8],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5]] * 3,
}

SMALL3 = SMALL | {
    "resblock": "2",
    "resblock_kernel_sizes": [3, 5, 7],
    "resblock_dilation_sizes": [[1, 2], [2, 6], [3, 12]],
}

MEL = resolve("hifigan", 22050)


def made(config=SMALL, seed=0):
    """A generator of ours as the configuration says, with weights that make a sound."""
    torch.manual_seed(seed)
    shape = dataclasses.replace(
        VARIANTS["v1" if config["resblock"] == "1" else "v3"],
        channels=config["upsample_initial_channel"],
        rates=tuple(config["upsample_rates"]),
        kernels=tuple(config["upsample_kernel_sizes"]),
    )
    generator = Generator(shape, MEL).eval()
    with torch.no_grad():
        for name, p in generator.named_parameters():
            if name.endswith("original0"):
                p.mul_(torch.rand_like(p) + 1)
            if name.endswith("bias"):
                p.normal_(0, 0.05)
    return generator


def sound(generator, mel):
    with torch.no_grad():
        return generator(mel)


def noise(frames=12, batch=1):
    return torch.randn(batch, 80, frames, generator=torch.Generator().manual_seed(1))
