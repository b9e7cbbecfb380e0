"""The pitch of sound: the highest peak of a frame's correlation with itself, from waveforms or from magnitudes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from .melspec import MelSpec


class Periods(NamedTuple):
    """What `PitchTracker` finds in frames; every tensor has the shape of the frames."""

    lag: Tensor
    """The period in samples, with a fraction. Unvoiced frames hold a number without meaning."""
    voiced: Tensor
    """bool: whether a frame repeats itself. Callers leave out frames that are too quiet."""
    energy: Tensor
    """The mean square of a cut, or the sum of squared magnitudes."""


@dataclass(frozen=True)
class PitchTracker:
    """Finds fundamental frequencies. No value is read, so trackers work on torch's ``meta`` device."""

    lowest: float
    """Hz; lower pitches are not looked for."""
    highest: float
    """Hz; higher pitches are not looked for."""
    voiced: float = 0.5
    """The least correlation in [0, 1] of a voiced frame with itself, a period later."""
    octave: float = 0.02
    """What a pitch an octave lower must win in correlation (Boersma 1993, eq. 24), so that no period is taken twice."""

    def in_cuts(
        self, cuts: Tensor, length: int, rate: int, correlate: Callable[[Tensor, Tensor], Tensor] | None = None
    ) -> Periods:
        """The periods of cuts (..., size) of a waveform at ``rate`` Hz, whose first ``length`` samples are compared with later ones.

        The normalised cross-correlation of Talkin 1995 ("A robust algorithm for pitch tracking", section 3). Cuts need the size
        `cut_size`; longer ones change nothing. ``correlate`` takes the place of `correlated`, where there is no Fourier transform.
        """
        least, most = int(rate / self.highest), math.ceil(rate / self.lowest)
        alike = _correlation(cuts - cuts.mean(-1, keepdim=True), length, least, most, correlate or correlated)
        return Periods(*self._highest_peak(alike, least), cuts.square().mean(-1))

    def cut_size(self, length: int, rate: int) -> int:
        """Samples of a cut whose first ``length`` samples are compared with all later ones."""
        return length + math.ceil(rate / self.lowest) + 1

    def in_magnitudes(self, spec: MelSpec, magnitudes: Tensor) -> Periods:
        """The periods of frames (B, F) from `MelSpec.magnitudes` (B, n_fft / 2 + 1, F).

        The autocorrelation of a frame, divided by that of the window (Boersma 1993, eq. 9). Hum below the lowest pitch is left out.
        """
        rate, size = spec.sample_rate, spec.n_fft
        first = max(2, math.floor(rate / self.highest))
        last = max(first + 2, min(math.ceil(rate / self.lowest), spec.win_length // 2 - 1))
        power = magnitudes.transpose(1, 2).square()  # (B, F, bins)
        hum = math.ceil(0.8 * self.lowest * size / rate)
        power = torch.cat([torch.zeros_like(power[..., :hum]), power[..., hum:]], 2)
        energy = power[..., 1:-1].sum(2) * 2 + power[..., -1]
        lags = torch.fft.irfft(power, size, dim=2)[..., first - 1 : last + 2] * size
        share = lags / energy[..., None].clamp(min=1e-20) / _of_window(spec, first - 1, last + 2, power)
        return Periods(*self._highest_peak(share, first), energy)

    def _highest_peak(self, alike: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """The lag of the highest peak, and whether the peak is high enough, of correlations (..., L) at lags from ``first`` - 1 on.

        A parabola through the neighbours of the peak gives the fraction (Boersma 1993, eq. 24 ff.).
        """
        before, at, after = alike[..., :-2], alike[..., 1:-1], alike[..., 2:]
        lags = torch.arange(first, first + at.shape[-1], device=alike.device)
        score = torch.where(
            (at > before) & (at >= after), at - self.octave * torch.log2(lags / first).to(at.dtype), -2.0
        )
        best = score.argmax(-1, keepdim=True)  # (..., 1)
        a, b, c = (part.gather(-1, best)[..., 0] for part in (before, at, after))
        bend = (a - 2 * b + c).clamp(max=-1e-6)
        lag = lags[best[..., 0]] + (0.5 * (a - c) / bend).clamp(-0.5, 0.5)
        return lag, (b > self.voiced) & (score.gather(-1, best)[..., 0] > -1)


def correlated(cuts: Tensor, first: Tensor) -> Tensor:
    """The sums of products of ``first`` (..., size) and ``cuts`` (..., size), which are turned by 0, 1, ... size - 1 samples."""
    return torch.fft.irfft(torch.fft.rfft(cuts) * torch.fft.rfft(first).conj(), n=cuts.shape[-1])


def _correlation(
    cuts: Tensor, length: int, least: int, most: int, correlate: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """The correlation in [-1, 1] of the first ``length`` samples of cuts (..., size) with those that lie a lag later.

    Lags go from ``least`` - 1 to ``most`` + 1.
    """
    size = cuts.shape[-1]
    first = F.pad(cuts[..., :length], (0, size - length))
    product = correlate(cuts, first)[..., least - 1 : most + 2]
    energy = F.pad(cuts.square().cumsum(-1), (1, 0))
    energies = energy[..., length:] - energy[..., : size - length + 1]  # of lags 0 .. size - length
    own, others = energies[..., :1], energies[..., least - 1 : most + 2]
    return product / (own * others).clamp(min=1e-12).sqrt()


def _of_window(spec: MelSpec, first: int, last: int, like: Tensor) -> Tensor:
    """The window's autocorrelation at lags [first, last), 1 at lag 0."""
    window = torch.hann_window(spec.win_length, dtype=like.dtype, device=like.device)
    spectrum = torch.fft.rfft(window, spec.n_fft)
    found = torch.fft.irfft(spectrum.real.square() + spectrum.imag.square(), spec.n_fft)
    return (found / found[0])[first:last]
