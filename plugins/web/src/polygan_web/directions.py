"""The directions in latent space along which samples change most, for the sliders of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .graphs import Latents

COUNT = 6
"""Directions, and so sliders."""
_BATCH = 16  # pairs of latents that a network sees at once
_VALUES = 1 << 20  # values of samples after which fewer pairs are drawn
_RIDGE = 1e-3  # of the latents' variance, for fewer pairs than numbers of a latent
_SIDE, _FRAME = 32, 256  # pixels of a side of a small picture; samples of a frame of sound


def directions(made_of: Latents) -> NDArray[np.float32]:
    """Orthonormal directions (at most `COUNT`, size), the one along which samples change most first.

    The right singular vectors of the matrix that predicts samples from latents best (ridge regression). Samples are made of each latent
    z and of -z, and half of their difference stands for the sample: what z does not change, such as the class, then cancels. Pictures
    are compared small, and sounds by their log-magnitudes.
    """
    draw = np.random.default_rng(0)
    size, classes = made_of.size, max(1, len(made_of.classes))
    total, gram, pairs, most = np.zeros((size, 1)), np.zeros((size, size)), 0, 2 * size
    while pairs < most:
        z = draw.standard_normal((_BATCH, size), np.float32)
        label = draw.integers(classes, size=_BATCH)
        made = made_of.make(np.concatenate([z, -z]), np.concatenate([label, label]))
        if not pairs:
            per_sample = made[0].size
            most = min(max(2 * size, 64), 512, max(32, _VALUES // per_sample))
        plus, minus = np.split(features(made), 2)
        total = total + z.T @ (plus - minus) / 2
        gram += z.T @ z
        pairs += _BATCH
    slope = np.linalg.solve(gram + _RIDGE * pairs * np.eye(size), total)  # (size, m)
    found = np.linalg.svd(slope, full_matrices=False)[0].T[:COUNT]
    signs = np.sign(found[np.arange(len(found)), np.abs(found).argmax(1)])
    return (found * signs[:, None]).astype(np.float32)


def features(made: NDArray[Any]) -> NDArray[np.float64]:
    """What is compared of pictures (n, C, H, W) or sounds (n, samples) or (n, 1, samples): numbers (n, m)."""
    made = made.astype(np.float64)
    if made.ndim == 4:
        for axis in (2, 3):
            step = max(1, made.shape[axis] // _SIDE)
            made = np.moveaxis(made, axis, -1)[..., : made.shape[axis] // step * step]
            made = np.moveaxis(made.reshape(*made.shape[:-1], -1, step).mean(-1), -1, axis)
        return made.reshape(len(made), -1)
    sound = made.reshape(len(made), -1)
    frames = sound[:, : sound.shape[1] // _FRAME * _FRAME].reshape(len(sound), -1, _FRAME)
    return np.log(np.abs(np.fft.rfft(frames * np.hanning(_FRAME))) + 1e-2).reshape(len(sound), -1)
