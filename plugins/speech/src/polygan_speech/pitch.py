"""The pitch of speech, from the magnitudes that a mel is made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from polygan_audio.networks.convolutions import full_precision
from polygan_audio.networks.pitch import PitchTracker

if TYPE_CHECKING:
    from torch import Tensor

    from polygan_audio.networks.melspec import MelSpec

_TRACKER = PitchTracker(60.0, 450.0, voiced=0.45, octave=0.01)
_SILENT = 1e-3  # energy below which a frame is silent, as a share of the clip's loudest


def mel_of(spec: MelSpec, magnitudes: Tensor) -> Tensor:
    """Log-mel (B, n_mels, F) of `MelSpec.magnitudes` (B, bins, F), which are needed for the pitch too."""
    with full_precision(magnitudes.device):
        bands = (spec.filters(magnitudes.device).to(magnitudes.dtype) @ magnitudes).clamp(min=spec.floor)
        return bands.log() if spec.log == "ln" else bands.log10()


def pitch_of(spec: MelSpec, magnitudes: Tensor) -> tuple[Tensor, Tensor]:
    """ln of the pitch in Hz (B, F), and whether a frame is voiced (B, F), from magnitudes (B, n_fft / 2 + 1, F).

    Pitches lie between 60 and 450 Hz. Unvoiced frames hold a number without meaning.
    """
    with full_precision(magnitudes.device):
        lag, voiced, energy = _TRACKER.in_magnitudes(spec, magnitudes)
        loud = energy > _SILENT * energy.amax(1, keepdim=True)
        return math.log(spec.sample_rate) - lag.log(), voiced & loud
