"""Data sets that are made up: the usual toys of the literature, within about [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import polygan

from .domain import Points


@dataclass(frozen=True, kw_only=True)
class PointSettings(polygan.DataSettings):
    """How points are made."""

    size: int = polygan.ranged(5000, "[2, inf)")
    """Points."""
    deviation: float = polygan.ranged(0.05, "(0, inf)", usual=0.05)
    """Standard deviation of their noise; the whole lies within about [-1, 1]."""


def _around(modes: np.ndarray, settings: PointSettings) -> Points:
    """As many points around each mode, in turn."""
    rng = np.random.default_rng(0)
    centres = modes[np.arange(settings.size) % len(modes)]
    return Points(centres + settings.deviation * rng.standard_normal(centres.shape), modes, settings.deviation)


def ring(settings: PointSettings) -> Points:
    """8 Gaussians on the unit circle."""
    angle = np.arange(8) * np.pi / 4
    return _around(np.stack([np.cos(angle), np.sin(angle)], 1), settings)


def grid(settings: PointSettings) -> Points:
    """25 Gaussians at the crossings of a 5 x 5 grid."""
    x, y = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5))
    return _around(np.stack([x.ravel(), y.ravel()], 1), settings)


def swiss_roll(settings: PointSettings) -> Points:
    """A spiral of one and a half turns."""
    rng = np.random.default_rng(0)
    angle = np.pi * (1.5 + 3 * rng.random(settings.size))
    roll = np.stack([np.cos(angle), np.sin(angle)], 1) * angle[:, None] / (4.5 * np.pi)
    return Points(roll + settings.deviation * rng.standard_normal(roll.shape))
