"""Networks and a recipe of pictures from pictures that tests use: a few channels, every scale, every way to treat edges."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from polygan import Checked
from polygan_image.geometry import Geometry
from polygan_image.translation.base import PictureToPicture, Translation


class Enlarger(nn.Module):
    """Three convolutions of the given picture (halo 3), pixel shuffle, and bicubic enlargement (halo 2)."""

    def __init__(self, scale=2, channels=3, edge="zeros"):
        super().__init__()
        self.geometry = Geometry(scale, 1, 3)
        widths = [channels, 4, 4, channels * scale**2]
        self.layers = nn.Sequential(
            *(nn.Conv2d(a, b, 3, padding=1, padding_mode=edge) for a, b in itertools.pairwise(widths))
        )

    def forward(self, x):
        scale = self.geometry.scale
        base = x if scale == 1 else F.interpolate(x, scale_factor=scale, mode="bicubic", align_corners=False)
        h = x
        for layer in self.layers:
            h = layer(F.leaky_relu(h, 0.2))
        return 0.5 * base + F.pixel_shuffle(h, scale)


class Hourglass(nn.Module):
    """Three halvings and three doublings: both sides are multiples of 8."""

    def __init__(self, channels=3, edge="zeros", norm=False):
        super().__init__()
        # Down, a level-l pixel reaches 2^l - 1 further; up likewise. Together at most 2 * (1 + 2 + 4).
        self.geometry = Geometry(1, 8, None if norm else 15)
        widths = [channels, 4, 4, 4]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1, padding_mode=edge) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(4, b, 4, 2, 1) for b in (4, 4, channels))
        self.norm = nn.InstanceNorm2d(4) if norm else nn.Identity()

    def forward(self, x):
        for layer in self.down:
            x = self.norm(F.leaky_relu(layer(x), 0.2))
        for layer in self.up:
            x = layer(F.leaky_relu(x, 0.2))
        return torch.tanh(x)


def picture(height, width, channels=3, n=1, seed=0):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@dataclass(frozen=True, kw_only=True)
class Config(Checked, group="model"):
    """No settings."""


class Plain(PictureToPicture[Config]):
    """Makes pictures with the network that a test hands over, and learns nothing."""

    Config: ClassVar[type] = Config

    def networks(self):
        return {}

    def players(self, networks, training):
        return {}

    def turns(self):
        return []


INFO = {"channels": 3, "height": 16, "width": 16, "count": 1, "keeps_size": True}


def recipe(kind=Plain, **info):
    return kind(Config(), {**INFO, **info})


def options(**values):
    return Translation(**values)
