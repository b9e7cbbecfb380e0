"""A small StyleGAN2, for the tests of this folder."""

import torch

from polygan_image.stylegan import Config, StyleGAN

TINY = {"latent_dim": 12, "channel_base": 128, "channel_max": 12}
CLASSES = ("a", "b", "c")


def recipe(classes=CLASSES, channels=3, side=32, count=90, **options):
    info = {"channels": channels, "height": side, "width": side, "classes": list(classes), "count": count}
    return StyleGAN(Config(**{**TINY, **options}), info)


def generator(classes=CLASSES, **options):
    torch.manual_seed(0)
    return recipe(classes, **options).networks()["generator"].eval().requires_grad_(False)


def awake(module):
    """The network with every parameter away from its initial value: strengths of noise and biases are 0 at first."""
    with torch.no_grad():
        for p in module.parameters():
            p += 0.3 * torch.randn_like(p)
    return module
