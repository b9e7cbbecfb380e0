"""The aligner: how likely each frame of a mel is for each symbol of a text, learned with the model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from polygan_audio.networks.convolutions import full_precision, wide

from ..cepstra import cepstra_of
from ..masks import inside

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..text.spelling import Transcripts


class Aligner(nn.Module):
    """How likely each frame is for each symbol: a normal distribution of cepstra and their slopes, whose mean is the symbol's.

    The sum over alignments (`forward_sum`) is then the likelihood of a hidden Markov model with a state for each symbol. Badlani et
    al. 2021 learn which symbol of a text a frame says instead. From half an hour of speech they learn each clip by heart, and
    the symbols of a clip lie wherever they may. A mean has to fit all frames of its symbol (Kim et al. 2020, "Glow-TTS", eq. 5).
    """

    deviation: Tensor

    def __init__(
        self,
        embedding: Callable[[int], nn.Module],
        deviation: Tensor,
        speakers: int,
        transcripts: Transcripts,
        *,
        context: bool,
        width: int = 128,
    ) -> None:
        """``embedding``: makes an embedding of symbols of so many channels. ``deviation`` (K,): that of `cepstra_of` normalised mels.

        ``speakers``: 0 or 1 for a single voice. ``context``: whether a mean depends on the symbols beside, as letters sound.
        """
        super().__init__()
        self.transcripts = transcripts
        self.embedding = embedding(width)
        self.speakers = nn.Embedding(speakers, len(deviation)) if speakers > 1 else None
        if self.speakers is not None:
            nn.init.zeros_(self.speakers.weight)
        self.hidden = nn.Conv1d(width, width, 3 if context else 1, padding=1 if context else 0)
        self.mean = nn.Conv1d(width, len(deviation), 1)
        self.log_variance = nn.Parameter(torch.zeros(len(deviation)))
        self.register_buffer("deviation", deviation)

    def forward(
        self,
        ids: Tensor,
        tokens: Tensor,
        mel: Tensor,
        frames: Tensor,
        speaker: Tensor | None = None,
        *,
        prior: bool = True,
    ) -> Tensor:
        """(B, F, S): ln of the density of each frame for each symbol, up to a constant; -inf for padding.

        ``ids`` (B, S), ``tokens`` and ``frames`` (B,), ``mel`` (B, n_mels, F) normalised, ``speaker`` (B,) or None. ``prior``: whether
        symbols near the diagonal are likelier (`diagonal`), as in training.
        """
        with full_precision(mel.device):
            heard = cepstra_of(wide(mel) * inside(frames, mel.shape[2])[:, None]) / self.deviation[:, None]
            means, log_variance = self._means(ids, tokens, speaker), wide(self.log_variance)
            heard, scaled = heard.transpose(1, 2), means * (-log_variance).exp()[:, None]  # (B, F, K), (B, K, S)
            squares = heard.square() @ (-log_variance).exp() + log_variance.sum()  # (B, F)
            log_p = heard @ scaled - 0.5 * (squares[..., None] + (means * scaled).sum(1)[:, None])
            if prior:
                log_p = log_p + diagonal(frames, tokens, mel.shape[2], ids.shape[1], log_p.dtype)
            padding = ~inside(tokens, ids.shape[1])[:, None]
            # A clip without symbols keeps its first column, so that no row is -inf alone; its loss counts nothing.
            padding = padding & (torch.arange(ids.shape[1], device=ids.device) > 0)
            return log_p.masked_fill(padding, -math.inf)

    def _means(self, ids: Tensor, tokens: Tensor, speaker: Tensor | None) -> Tensor:
        """(B, K, S), the same for a text as if it were alone."""
        x = self.embedding(ids).transpose(1, 2) * inside(tokens, ids.shape[1])[:, None]
        means = wide(self.mean(self.hidden(x).relu()))
        if self.speakers is not None and speaker is not None:
            means = means + wide(self.speakers(speaker))[:, :, None]
        return means


def diagonal(frames: Tensor, tokens: Tensor, length: int, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """(B, length, size): ln of the beta-binomial probability of symbol s at frame t (Badlani et al. 2021, section 3.3).

    s of n = tokens - 1 trials with alpha = t + 1 and beta = frames - t, t from 0 on. Padding holds finite numbers without meaning.
    """
    device = frames.device
    table = torch.lgamma(torch.arange(length + size + 3, device=device, dtype=dtype).clamp(min=1))  # ln (k - 1)!
    n = (tokens - 1).clamp(min=0)[:, None, None]
    s = torch.arange(size, device=device)[None, None]
    t = torch.arange(length, device=device)[None, :, None]
    alpha, beta = t + 1, (frames[:, None, None] - t).clamp(min=1)
    rest = (n - s).clamp(min=0)
    ways = table[n + 1] - table[s + 1] - table[rest + 1]  # (B, 1, S)
    ends = table[alpha + beta] - table[alpha] - table[beta] - table[n + alpha + beta]  # (B, F, 1)
    return ways + ends + table[s + alpha] + table[rest + beta]
