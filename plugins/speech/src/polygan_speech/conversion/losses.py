"""Losses of voice conversion: pure functions, means over samples of each sample's own mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from polygan_audio.networks.convolutions import wide

if TYPE_CHECKING:
    from collections.abc import Sequence


def ctc(logits: Tensor, steps: Tensor, symbols: Tensor, counts: Tensor) -> Tensor:
    """-ln p(symbols | logits) a symbol (Graves et al. 2006, eq. 14), a mean over samples; the blank is symbol 0.

    ``logits`` (B, S, K) with ``steps`` (B,) valid ones; ``symbols`` (B, L) int64 with ``counts`` (B,) valid ones. A sample counts 0 that
    has no symbols, or more than its steps can hold: the number of samples that count must not depend on the share of a process.
    """
    if logits.is_meta:  # the search reads lengths, which are not there
        return 0 * wide(logits).sum() / len(logits)
    able = (counts > 0) & (steps >= counts + _repeats(symbols, counts))
    logarithm = wide(logits).log_softmax(2).transpose(0, 1)  # (S, B, K)
    lost = F.ctc_loss(
        logarithm,
        symbols,
        torch.where(able, steps, logits.shape[1]),
        torch.where(able, counts, 0),
        reduction="none",
        zero_infinity=True,
    )
    return (torch.where(able, lost / counts.clamp(min=1), 0 * lost)).mean()


def _repeats(symbols: Tensor, counts: Tensor) -> Tensor:
    """Pairs of equal neighbours (B,), between which CTC needs a blank."""
    inside = torch.arange(1, symbols.shape[1], device=symbols.device) < counts[:, None]
    return ((symbols[:, 1:] == symbols[:, :-1]) & inside).sum(1)


def content_distance(given: Tensor, made: Tensor) -> Tensor:
    """Mean absolute difference of a recogniser's features (B, S, C), each channel less its mean over time.

    The mean of a channel tells the speaker and the room more than what is said. ``given`` is not differentiated.
    """
    given, made = (wide(x) - wide(x).mean(1, keepdim=True) for x in (given.detach(), made))
    return (given - made).abs().mean()


def mel_distance(made: Tensor, wanted: Tensor, deviation: Tensor) -> Tensor:
    """Mean absolute difference (B,) of log-mels (B, n_mels, F), in deviations (n_mels, 1) of a band."""
    return ((made - wanted) / deviation).abs().mean((1, 2))


def feature_distance(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean over maps (B, ...) of the mean absolute difference, (B,) (Kong et al. 2020, eq. 4); ``real`` is not differentiated."""
    terms = [(wide(r.detach()) - wide(f)).abs().flatten(1).mean(1) for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).mean(0)


def as_large_as(term: Tensor, other: Tensor) -> Tensor:
    """``term`` (B,) scaled to the size of ``other`` (B,), by factors without gradient (Yang et al. 2021, GANSpeech, section 2.3).

    Each sample has its own factor: one for a batch would depend on the share of a process.
    """
    return term * (other / term.clamp(min=1e-8)).detach()
