"""The vocoder without a network: magnitudes from a mel, phases by Griffin and Lim's iterations. Every score stands beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
import torchaudio.functional as AF

if TYPE_CHECKING:
    from torch import Tensor

    from .melspec import MelSpec
    from .stft import Frames

ITERATIONS, MOMENTUM = 60, 0.99
UPDATES = 100
FEW_UPDATES = 10
"""What a network that corrects the sound does with, unless it is asked for more."""


def magnitudes_of(spec: MelSpec, mel: Tensor, updates: int = UPDATES) -> Tensor:
    """Log-mel (n_mels, F) to magnitudes (n_fft / 2 + 1, F) >= 0 whose bands are nearest to the mel's.

    The pseudo-inverse without its negative part, then ``updates`` steps of `nearer`.
    """
    bands = mel.exp() if spec.log == "ln" else 10**mel
    filters = spec.filters(mel.device)
    return nearer((torch.linalg.pinv(filters.double()).to(bands) @ bands).clamp(min=1e-6), bands, filters, updates)


def nearer(magnitudes: Tensor, bands: Tensor, filters: Tensor, updates: int) -> Tensor:
    """Magnitudes (..., bins, F) > 0, after so many multiplicative steps of non-negative least squares to bands (..., n_mels, F).

    Lee and Seung 2001, "Algorithms for non-negative matrix factorization", eq. 4: no step makes the distance larger.
    """
    wanted = filters.T @ bands
    magnitudes = magnitudes.contiguous()  # in one layout elements are multiplied faster
    for _ in range(updates):
        found = filters.T @ (filters @ magnitudes)
        magnitudes = (magnitudes * wanted).div_(found.clamp_(min=1e-10))
    return magnitudes


def phases(frames: Frames, magnitude: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Spectra of these magnitudes (B, F, n_fft / 2 + 1) after iterations of the fast algorithm (Perraudin et al. 2013), without gradients.

    Returns them and the spectra of the last iteration's sound, both (B, F, n_fft / 2 + 1, 2). Phases begin as a sweep from the
    beginning of each frame to its end: pulses are symmetric, and stay so until rounding decides.
    """
    spectra = sweep(magnitude, frames.n_fft)
    spare = torch.empty_like(spectra)
    found = before = None
    for _ in range(iterations):
        found = frames.consistent(spectra, out=spare)
        spare = spectra
        spectra = found.clone() if before is None else before.lerp_(found, 1 + MOMENTUM)
        before = found
        x, y = spectra.unbind(-1)
        spectra = frames.scale(spectra, (x * x).addcmul_(y, y).clamp_(min=1e-20).rsqrt_().mul_(magnitude))
    assert found is not None
    return spectra, found


def sweep(magnitude: Tensor, n_fft: int) -> Tensor:
    """The first spectra of `phases` (B, F, n_fft / 2 + 1, 2) for magnitudes (B, F, n_fft / 2 + 1)."""
    bins = torch.arange(magnitude.shape[2], dtype=magnitude.dtype, device=magnitude.device)
    angle = math.pi * bins * (bins / n_fft + 0.5)
    return torch.stack([magnitude * angle.cos(), magnitude * angle.sin()], -1)


def invertible(spec: MelSpec) -> bool:
    """Whether every sample has weight in some window: a Hann window's first one has none, so hops must overlap."""
    return spec.hop_length < spec.win_length


def griffin_lim(spec: MelSpec, mel: Tensor, length: int, iterations: int = ITERATIONS) -> Tensor:
    """Log-mel (n_mels, F) to a waveform (length,), by the fast algorithm (Perraudin et al. 2013) from zero phases.

    Frames lie as ``spec.padding`` says; the last one lasts until ``length``. ``spec`` must be `invertible`.
    """
    magnitudes = magnitudes_of(spec, mel)
    # torchaudio centres frame i on sample i * hop, "same" centres it ``shift`` samples later: a frame before the first one
    # fills the beginning, and two after the last the end.
    shift = spec.n_fft // 2 - spec.pad
    magnitudes = F.pad(magnitudes[None], (1 if shift else 0, 2), mode="replicate")[0]
    window = torch.hann_window(spec.win_length, device=mel.device)
    found = AF.griffinlim(
        magnitudes,
        window,
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        win_length=spec.win_length,
        power=1.0,
        n_iter=iterations,
        momentum=MOMENTUM,
        length=None,
        rand_init=False,
    )
    start = spec.hop_length - shift if shift else 0
    found = found[start : start + length]
    return F.pad(found, (0, length - len(found)))
