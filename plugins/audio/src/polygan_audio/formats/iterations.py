"""Griffin and Lim's iterations as a loop within an ONNX file: written out, they are twenty thousand operations, which browsers read slowly."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..networks.griffinlim import MOMENTUM, sweep
from .fourier import Bases

if TYPE_CHECKING:
    from ..networks.excitation import GriffinLim

_FRAMES = 9  # of the spectra that a step is traced with


class Iterations(nn.Module):
    """`excitation.GriffinLim` with `nearer` and `phases` as scripted loops; the same to within rounding.

    In float64, as there: in float32 rounding grows from iteration to iteration to a hundredth of the sound.
    """

    def __init__(self, source: GriffinLim) -> None:
        """``source``: on the CPU; its iterations and updates are at least 1."""
        super().__init__()
        spec = source.mel
        self.mel, self.least = spec, source.quietest
        self.filters, self.inverse = nn.Buffer(source.filters.double()), nn.Buffer(source.inverse.double())
        step = _Step(spec.n_fft, spec.hop_length, spec.win_length).double()
        bins = spec.n_fft // 2 + 1
        spectra, ones = (
            torch.rand(1, _FRAMES, bins, 2, dtype=torch.float64),
            torch.ones(1, _FRAMES, bins, dtype=torch.float64),
        )
        weight = step.weight(ones)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # scripts are called old, but the exporter that needs no onnxscript reads loops from them
            traced = torch.jit.trace(lambda *given: step(*given), (spectra, spectra, ones, weight), check_trace=False)
            self.loop, self.nearer = _looped(traced), torch.jit.script(_nearer)
        self.step, self.iterations, self.updates = step, source.iterations, source.updates

    def forward(self, mel: Tensor) -> Tensor:
        """(1, n_mels, F) to (1, F * hop_length)."""
        spec, dtype = self.mel, mel.dtype
        mel = mel.double()
        bands = mel.exp() if spec.log == "ln" else 10**mel
        magnitude = self.nearer((self.inverse @ bands).abs().clamp(min=self.least), bands, self.filters, self.updates)
        magnitude = magnitude.transpose(1, 2).clamp(min=self.least)
        weight = self.step.weight(magnitude)
        spectra = self.loop(sweep(magnitude, spec.n_fft), magnitude, weight, self.iterations)
        sound = self.step.synthesise(spectra, weight).flatten(1)
        return sound[:, spec.pad : spec.pad + mel.shape[2] * spec.hop_length].to(dtype)


class _Step(nn.Module):
    """One iteration of the fast algorithm (Perraudin et al. 2013, algorithm 2), by matrices; frames as `networks.stft.Frames` has them."""

    def __init__(self, n_fft: int, hop: int, win_length: int) -> None:
        super().__init__()
        self.n_fft, self.hop, self.pieces = n_fft, hop, -(-n_fft // hop)
        self.bases = Bases(n_fft)
        spare = n_fft - win_length
        window = torch.hann_window(win_length, dtype=torch.float64)
        self.window = nn.Buffer(F.pad(window, (spare // 2, spare - spare // 2)))

    def forward(self, spectra: Tensor, before: Tensor, magnitude: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Spectra (1, F, n_fft / 2 + 1, 2) and those of the sound before, to the next spectra and those of this sound."""
        sound = self.synthesise(spectra, weight)
        cut = torch.cat([sound[:, i : i + spectra.shape[1]] for i in range(self.pieces)], 2)[..., : self.n_fft]
        found = self.bases.to_spectra(cut * self.window)
        ahead = before + (1 + MOMENTUM) * (found - before)
        scale = magnitude * ahead.square().sum(3).clamp(min=1e-20).rsqrt()
        return ahead * scale[..., None], found

    def synthesise(self, spectra: Tensor, weight: Tensor) -> Tensor:
        """The sound in hops (1, F + pieces, hop_length) whose frames are nearest to spectra."""
        return self._overlap(self.bases.to_samples(spectra) * self.window) * weight

    def weight(self, magnitude: Tensor) -> Tensor:
        """1 over the sum of squared windows (1, F + pieces, hop_length), for magnitudes (1, F, n_fft / 2 + 1)."""
        return 1 / self._overlap(self.window.square() * torch.ones_like(magnitude[..., :1])).clamp(min=1e-8)

    def _overlap(self, frames: Tensor) -> Tensor:
        parts = F.pad(frames, (0, self.pieces * self.hop - self.n_fft)).unflatten(2, (self.pieces, self.hop))
        return torch.stack([F.pad(parts[:, :, i], (0, 0, i, self.pieces - i)) for i in range(self.pieces)]).sum(0)


def _nearer(magnitudes: Tensor, bands: Tensor, filters: Tensor, count: int) -> Tensor:
    """`griffinlim.nearer`."""
    back = filters.t()
    wanted = back @ bands
    for _ in range(count):
        magnitudes = magnitudes * wanted / (back @ (filters @ magnitudes)).clamp(min=1e-10)
    return magnitudes


def _looped(step: Any) -> Any:
    """The iterations (spectra, magnitude, weight, count) to spectra, by a traced `_Step`; the first has no sound before it."""

    def loop(spectra: Tensor, magnitude: Tensor, weight: Tensor, count: int) -> Tensor:
        before = step(spectra, spectra, magnitude, weight)[1]
        spectra = before * (magnitude * before.square().sum([3]).clamp(min=1e-20).rsqrt())[..., None]
        for _ in range(count - 1):
            spectra, before = step(spectra, before, magnitude, weight)
        return spectra

    return torch.jit.script(loop)
