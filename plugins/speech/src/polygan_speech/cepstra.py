"""Cepstra: how a log-mel goes up and down along its bands, without the harmonics of the pitch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CEPSTRA = 20
"""Cosines along the bands that make an envelope; with 80 bands they resolve no harmonics of pitches below about 300 Hz."""


def cosines(n_mels: int, count: int) -> Tensor:
    """Orthonormal cosines along the bands, (n_mels, count) float64: the first columns of a DCT-II."""
    bands, order = torch.arange(n_mels, dtype=torch.float64), torch.arange(count, dtype=torch.float64)
    basis = torch.cos(math.pi / n_mels * (bands[:, None] + 0.5) * order) * math.sqrt(2 / n_mels)
    basis[:, 0] /= math.sqrt(2)
    return basis


def size_of(n_mels: int) -> int:
    """How many numbers of a frame `cepstra_of` gives."""
    return 2 * min(CEPSTRA, n_mels)


def cepstra_of(mel: Tensor) -> Tensor:
    """(B, n_mels, F) to (B, `size_of`, F): cepstra, and below them their slopes over five frames, per frame.

    The slope is that of least squares, as recognisers take it (Furui 1986, eq. 9). Beyond its ends a mel is taken as 0.
    """
    found = cosines(mel.shape[1], size_of(mel.shape[1]) // 2).to(mel).T @ mel
    wide = F.pad(found, (2, 2))
    size = mel.shape[2]
    one, two = (wide[..., 2 + k : 2 + k + size] - wide[..., 2 - k : 2 - k + size] for k in (1, 2))
    return torch.cat([found, (one + 2 * two) / 10], 1)
