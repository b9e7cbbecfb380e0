"""Griffin and Lim's iterations as loops within an ONNX file: written out, they are tens of thousands of operations, which open slowly."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from ..networks.griffinlim import MOMENTUM, sweep
from ..networks.stft import overlapped
from .fourier import Bases, Matrices

if TYPE_CHECKING:
    from ..networks.melspec import MelSpec
    from ..networks.stft import Frames

_FRAMES = 5  # of the spectra that a step is traced with


class Iterations:
    """What takes the place of `griffinlim.nearer`, `griffinlim.phases` and `stft.Frames` in a network that is written as ONNX.

    The same to within rounding, for any batch and number of frames. Iterations are in float64, as in torch: in float32 rounding grows from
    iteration to iteration to a hundredth of the sound.
    """

    def __init__(self, spec: MelSpec) -> None:
        self.bases, self.hop = Bases(spec.n_fft), spec.hop_length
        frames, rows = torch.zeros(2 * _FRAMES, spec.n_fft, dtype=torch.float64), self._matrices()
        spectra = self.bases.rows(frames, *rows[:2])
        weight = overlapped(frames[None, :_FRAMES], spec.n_fft, spec.hop_length)
        given = spectra, spectra, spectra[..., : self.bases.b], weight, weight.new_ones(()), frames[0], *rows
        with warnings.catch_warnings():
            # Scripts are called old, but the exporter that needs no onnxscript reads loops from them.
            warnings.simplefilter("ignore")
            self.nearer: Any = torch.jit.script(_nearer)
            self._loop = _looped(torch.jit.trace(self._step, given, check_trace=False))

    def make_frames(self, spec: MelSpec, like: Tensor) -> Matrices:
        """`stft.Frames` by matrices."""
        return Matrices(spec, like, self.bases)

    def phases(self, frames: Frames, magnitude: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        """`griffinlim.phases`."""
        bases = self.bases
        spectra = bases.grouped(sweep(magnitude, bases.n).flatten(0, 1))
        rows = magnitude.flatten(0, 1).index_select(1, bases.bins).reshape(-1, bases.some, bases.b).transpose(0, 1)
        ahead = torch.full((), 1 + MOMENTUM, dtype=torch.float64)
        given = frames.weight, ahead, frames.window, *self._matrices(), iterations
        found = cast("tuple[Tensor, Tensor]", self._loop(spectra, rows.contiguous(), *given))
        spectra, last = (bases.ordered(x).unflatten(0, (-1, frames.count)) for x in found)
        return spectra, last

    def _matrices(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        bases = self.bases
        return bases.first, bases.second, bases.last, bases.real

    def _step(
        self,
        spectra: Tensor,
        before: Tensor,
        magnitude: Tensor,
        weight: Tensor,
        ahead: Tensor,
        window: Tensor,
        first: Tensor,
        second: Tensor,
        last: Tensor,
        real: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """One iteration of the fast algorithm (Perraudin et al. 2013, algorithm 2), on spectra as `Bases.rows` gives them.

        From spectra, those of the sound before, and magnitudes (a / 2 + 1, N, b) to the next spectra and those of this sound.
        """
        bases, n, hop = self.bases, self.bases.n, self.hop
        count = weight.shape[1] + -n // hop
        frames = (bases.samples(spectra, last, real) * window).reshape(-1, count, n)
        sound = overlapped(frames, n, hop) * weight
        frames = torch.cat([sound[:, i : i + count] for i in range(-(-n // hop))], 2)[..., :n] * window
        found = bases.rows(frames.reshape(-1, n), first, second)
        spectra = before + ahead * (found - before)
        x, y = spectra[..., : bases.b], spectra[..., bases.b :]
        scale = magnitude / (x * x + y * y).clamp(min=1e-20).sqrt()
        return torch.cat([x * scale, y * scale], 2), found


def _nearer(magnitudes: Tensor, bands: Tensor, filters: Tensor, count: int) -> Tensor:
    """`griffinlim.nearer`."""
    back = filters.t()
    wanted = back @ bands
    for _ in range(count):
        magnitudes = magnitudes * wanted / (back @ (filters @ magnitudes)).clamp(min=1e-10)
    return magnitudes


def _looped(step: Any) -> Any:
    """All iterations by a traced `Iterations._step`; the first has no sound before it."""

    def loop(
        spectra: Tensor,
        magnitude: Tensor,
        weight: Tensor,
        ahead: Tensor,
        window: Tensor,
        first: Tensor,
        second: Tensor,
        last: Tensor,
        real: Tensor,
        count: int,
    ) -> tuple[Tensor, Tensor]:
        found, faster = spectra, torch.ones_like(ahead)
        for _ in range(count):
            spectra, found = step(spectra, found, magnitude, weight, faster, window, first, second, last, real)
            faster = ahead
        return spectra, found

    return torch.jit.script(loop)
