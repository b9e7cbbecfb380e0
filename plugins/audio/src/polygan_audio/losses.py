"""Losses between waveforms, and of what several discriminators say: pure functions, scalars in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .networks.convolutions import full_precision, wide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .networks.discriminators import Features

RESOLUTIONS = ((1024, 240, 600), (2048, 480, 1200), (512, 100, 240))
"""n_fft, hop and window in samples: those of Yamamoto et al. 2020, table 1, at twice their hops, which costs half."""


def discriminator_loss(real: Features, fake: Features) -> dict[str, Tensor]:
    """Sum over members of E (D(x) - 1)^2 + E D(G(s))^2 (Kong et al. 2020, eq. 1)."""
    return {
        "real": _total((wide(m[-1]) - 1).square().mean() for m in real),
        "fake": _total(wide(m[-1]).square().mean() for m in fake),
    }


def generator_loss(fake: Features) -> Tensor:
    """Sum over members of E (D(G(s)) - 1)^2 (Kong et al. 2020, eq. 2)."""
    return _total((wide(m[-1]) - 1).square().mean() for m in fake)


def hinge_discriminator_loss(real: Features, fake: Features, weights: Sequence[float]) -> dict[str, Tensor]:
    """Sum over members k of w_k (E max(0, 1 - D_k(x)) + E max(0, 1 + D_k(G(s)))) (Siuzdak 2023, and its official code)."""
    return {
        "real": _total(w * F.relu(1 - wide(m[-1])).mean() for w, m in zip(weights, real, strict=True)),
        "fake": _total(w * F.relu(1 + wide(m[-1])).mean() for w, m in zip(weights, fake, strict=True)),
    }


def hinge_generator_loss(fake: Features, weights: Sequence[float]) -> Tensor:
    """Sum over members k of w_k E max(0, 1 - D_k(G(s))) (the same)."""
    return _total(w * F.relu(1 - wide(m[-1])).mean() for w, m in zip(weights, fake, strict=True))


def feature_matching(real: Features, fake: Features, weights: Sequence[float] | None = None) -> Tensor:
    """Sum over members k and maps of w_k times the mean absolute difference (Kong et al. 2020, eq. 4), logits among the maps as in
    the official code; w_k = 1 without ``weights``. ``real`` is not differentiated."""
    return _total(
        w * (wide(r.detach()) - wide(f)).abs().mean()
        for w, rs, fs in zip(weights or [1.0] * len(real), real, fake, strict=True)
        for r, f in zip(rs, fs, strict=True)
    )


def stft_loss(
    real: Tensor, fake: Tensor, resolutions: Sequence[tuple[int, int, int]] = RESOLUTIONS
) -> tuple[Tensor, Tensor]:
    """Spectral convergence and log-magnitude distance of waveforms (B, T), means over resolutions.

    |S - S'|_F / |S|_F over the batch, and the mean |log S - log S'| (Yamamoto et al. 2020, eq. 3 and 4).
    """
    convergence, logarithm = [], []
    with full_precision(real.device):
        for n_fft, hop, window in resolutions:
            a, b = (_magnitudes(x, n_fft, hop, window) for x in (real, fake))
            convergence.append((a - b).norm() / a.norm().clamp(min=1e-5))
            logarithm.append((a.log() - b.log()).abs().mean())
    return _total(convergence) / len(convergence), _total(logarithm) / len(logarithm)


def _magnitudes(waveform: Tensor, n_fft: int, hop: int, window: int) -> Tensor:
    """(B, n_fft / 2 + 1, frames), at least 1e-3.5."""
    waveform = wide(waveform)
    shape = torch.hann_window(window, dtype=waveform.dtype, device=waveform.device)
    x = F.pad(waveform[:, None], (n_fft // 2, n_fft // 2), mode="reflect")[:, 0]
    spectrum = torch.stft(x, n_fft, hop, window, shape, center=False, return_complex=True)
    return (spectrum.real.square() + spectrum.imag.square()).clamp(min=1e-7).sqrt()


def _total(terms: object) -> Tensor:
    total, *rest = list(terms)  # pyright: ignore[reportArgumentType,reportUnknownVariableType,reportCallIssue]
    for term in rest:
        total = total + term
    return total
