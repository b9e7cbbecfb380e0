"""The envelope of a log-mel: what is left without the harmonics, and how it would look from another mouth or microphone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..cepstra import CEPSTRA, cosines

if TYPE_CHECKING:
    from polygan import Noise
    from polygan_audio.networks.melspec import MelSpec

WARPS = 17
"""Factors of the frequency axis in the table."""
FARTHEST = 1.25
"""The largest factor; the smallest is its inverse. Voices of women and men differ by about 1.2."""
_SHADES = 8  # cosines of a random equaliser


class Perturbation(NamedTuple):
    """One change of speaker and room for each sample, the same in all frames."""

    warp: Tensor
    """The factor's index (B,), int64 in [0, `WARPS`)."""
    shades: Tensor
    """Weights (B, 8) of the equaliser's cosines, in deviations of a band."""

    @classmethod
    def draw(cls, noise: Noise, n: int, strength: float) -> Perturbation:
        """A factor and an equaliser for each of ``n`` samples; ``strength``: deviation of the equaliser."""
        return cls(noise.integers(WARPS, n), strength * noise.normal(n, _SHADES))

    def without(self, rows: Tensor) -> Perturbation:
        """The same, and no change for the samples that ``rows`` (B,) names."""
        return Perturbation(torch.where(rows, WARPS // 2, self.warp), torch.where(rows[:, None], 0.0, self.shades))


def smooth_part(n_mels: int) -> Tensor:
    """(n_mels, n_mels) float64: the projection of a log-mel to its envelope."""
    basis = cosines(n_mels, min(CEPSTRA, n_mels))
    return basis @ basis.T


class Envelope(nn.Module):
    """Log-mels to envelopes, normalised by each band's mean and deviation.

    A perturbation changes what tells a speaker and a room, and leaves what is said: it stretches the frequency axis, as another length of
    the vocal tract does (Jaitly & Hinton 2013), and tilts the bands by a smooth random equaliser (Choi et al. 2021, section 3.1).
    """

    table: Tensor
    offset: Tensor
    shades: Tensor

    def __init__(self, spec: MelSpec, mean: Tensor, deviation: Tensor) -> None:
        """``mean`` and ``deviation`` (n_mels,) of the training data's log-mels."""
        super().__init__()
        smooth = (
            smooth_part(spec.n_mels) / deviation.double()
        )  # (n_mels, n_mels), divided by the deviation of the band read
        factors = FARTHEST ** torch.linspace(-1, 1, WARPS, dtype=torch.float64)
        warps = torch.stack([_warp(spec, float(factor)) for factor in factors])
        self.register_buffer("table", (smooth @ warps).float(), persistent=False)  # (WARPS, n_mels, n_mels)
        self.register_buffer("offset", (smooth @ mean.double()).float()[:, None], persistent=False)
        count = min(_SHADES, spec.n_mels)
        shades = cosines(spec.n_mels, count).T * math.sqrt(spec.n_mels / count)
        self.register_buffer("shades", shades.float(), persistent=False)

    def forward(self, mel: Tensor, perturbation: Perturbation | None = None) -> Tensor:
        """Log-mels (B, n_mels, F) to envelopes of the same shape."""
        mel = mel.to(self.table.dtype)
        if perturbation is None:
            return self.table[WARPS // 2] @ mel - self.offset
        shades = perturbation.shades[:, : len(self.shades)].to(self.shades.dtype) @ self.shades  # (B, n_mels)
        return self.table[perturbation.warp] @ mel - self.offset + shades[..., None]


def _warp(spec: MelSpec, factor: float) -> Tensor:
    """(n_mels, n_mels) float64: each band reads the log-mel at ``factor`` times its frequency, between the nearest bands."""
    filters = spec.filters().double().numpy()
    hertz = np.linspace(0, spec.sample_rate / 2, filters.shape[1])
    centres = (filters @ hertz) / np.maximum(filters.sum(1), 1e-12)
    centres = np.maximum.accumulate(centres)
    n = spec.n_mels
    place = np.interp(centres * factor, centres, np.arange(n)) if factor != 1 else np.arange(float(n))
    low = np.clip(np.floor(place).astype(int), 0, max(0, n - 2))
    share, rows = place - low, np.arange(n)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (rows, low), 1 - share)
    np.add.at(matrix, (rows, np.minimum(low + 1, n - 1)), share)
    return torch.from_numpy(matrix)
