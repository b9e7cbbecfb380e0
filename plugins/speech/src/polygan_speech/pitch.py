"""The pitch of speech by autocorrelation, from the magnitudes that a mel is made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from polygan_audio.networks.convolutions import full_precision

if TYPE_CHECKING:
    from torch import Tensor

    from polygan_audio.networks.melspec import MelSpec

LOWEST, HIGHEST = 60.0, 450.0
"""Hz between which pitches are looked for."""
_VOICED = 0.45  # least share of a frame's energy that repeats after a period
_SILENT = 1e-3  # energy below which a frame is silent, as a share of the clip's loudest
_OCTAVE = 0.01  # what an octave down costs, so that a period is preferred to twice the period


def mel_of(spec: MelSpec, magnitudes: Tensor) -> Tensor:
    """Log-mel (B, n_mels, F) of `MelSpec.magnitudes` (B, bins, F), which are needed for the pitch too."""
    with full_precision(magnitudes.device):
        bands = (spec.filters(magnitudes.device).to(magnitudes.dtype) @ magnitudes).clamp(min=spec.floor)
        return bands.log() if spec.log == "ln" else bands.log10()


def pitch_of(spec: MelSpec, magnitudes: Tensor) -> tuple[Tensor, Tensor]:
    """ln of the pitch in Hz (B, F), and whether a frame is voiced (B, F), from magnitudes (B, n_fft / 2 + 1, F).

    The highest peak of the frame's autocorrelation, divided by that of the window (Boersma 1993, eq. 9), between `LOWEST` and
    `HIGHEST`, with a parabola through its neighbours (eq. 24 ff.). Unvoiced frames hold a number without meaning.
    """
    rate, size = spec.sample_rate, spec.n_fft
    first = max(2, math.floor(rate / HIGHEST))
    last = max(first + 2, min(math.ceil(rate / LOWEST), spec.win_length // 2 - 1))
    with full_precision(magnitudes.device):
        power = magnitudes.transpose(1, 2).square()  # (B, F, bins)
        hum = math.ceil(0.8 * LOWEST * size / rate)
        power = torch.cat([torch.zeros_like(power[..., :hum]), power[..., hum:]], 2)
        energy = power[..., 1:-1].sum(2) * 2 + power[..., -1]
        lags = torch.fft.irfft(power, size, dim=2)[..., first - 1 : last + 2] * size
        share = lags / energy[..., None].clamp(min=1e-20) / _of_window(spec, first - 1, last + 2, power)
        inner, left, right = share[..., 1:-1], share[..., :-2], share[..., 2:]
        lag = torch.arange(first, last + 1, device=power.device, dtype=power.dtype)
        score = inner - _OCTAVE * (lag / first).log2()
        peak = torch.where((inner >= left) & (inner >= right), score, -1.0).argmax(2, keepdim=True)
        here, before, after = (x.gather(2, peak)[..., 0] for x in (inner, left, right))
        bend = (before - 2 * here + after).clamp(max=-1e-6)
        shift = (0.5 * (before - after) / bend).clamp(-0.5, 0.5)
        pitch = math.log(rate) - (first + peak[..., 0] + shift).log()
        loud = energy > _SILENT * energy.amax(1, keepdim=True)
        return pitch, (here > _VOICED) & loud


def _of_window(spec: MelSpec, first: int, last: int, like: Tensor) -> Tensor:
    """The window's autocorrelation at lags [first, last), 1 at lag 0."""
    window = torch.hann_window(spec.win_length, dtype=like.dtype, device=like.device)
    spectrum = torch.fft.rfft(window, spec.n_fft)
    found = torch.fft.irfft(spectrum.real.square() + spectrum.imag.square(), spec.n_fft)
    return (found / found[0])[first:last]
