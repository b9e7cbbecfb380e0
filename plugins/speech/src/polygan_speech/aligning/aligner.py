"""The aligner: how well each frame of a mel fits each symbol of a text, learned with the model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from polygan_audio.networks.convolutions import full_precision, wide

from ..masks import inside

if TYPE_CHECKING:
    from collections.abc import Callable

_CHANNELS = 80  # in which frames and symbols are compared
_SHARPNESS = 0.005  # logits for a squared distance of 1


class Aligner(nn.Module):
    """Distances of encoded symbols and frames, as probabilities of symbols (Badlani et al. 2021, eq. 1 and 2)."""

    def __init__(
        self, embedding: Callable[[int], nn.Module], n_mels: int, speakers: int, transcripts: nn.Module, width: int = 128
    ) -> None:
        """``embedding``: makes an embedding of symbols of so many channels. ``speakers``: 0 or 1 for a single voice."""
        super().__init__()
        self.transcripts = transcripts
        self.embedding = embedding(width)
        self.speakers = nn.Embedding(speakers, n_mels) if speakers > 1 else None
        self.keys = nn.ModuleList([nn.Conv1d(width, 2 * width, 3, padding=1), nn.Conv1d(2 * width, _CHANNELS, 1)])
        self.queries = nn.ModuleList(
            [
                nn.Conv1d(n_mels, 2 * n_mels, 3, padding=1),
                nn.Conv1d(2 * n_mels, n_mels, 1),
                nn.Conv1d(n_mels, _CHANNELS, 1),
            ]
        )

    def forward(
        self, ids: Tensor, tokens: Tensor, mel: Tensor, frames: Tensor, speaker: Tensor | None = None, *, prior: bool = True
    ) -> Tensor:
        """(B, F, S): ln of the probability of each symbol at each frame, -inf for padding.

        ``ids`` (B, S), ``tokens`` and ``frames`` (B,), ``mel`` (B, n_mels, F) normalised, ``speaker`` (B,) or None. ``prior``: whether
        symbols near the diagonal are likelier (`diagonal`), as in training.
        """
        if self.speakers is not None and speaker is not None:
            mel = mel + self.speakers(speaker)[:, :, None]
        keys = _through(self.keys, self.embedding(ids).transpose(1, 2), inside(tokens, ids.shape[1]))
        queries = _through(self.queries, mel, inside(frames, mel.shape[2]))
        with full_precision(mel.device):
            keys, queries = wide(keys), wide(queries)
            products = queries.transpose(1, 2) @ keys  # (B, F, S)
            distance = queries.square().sum(1)[:, :, None] + keys.square().sum(1)[:, None] - 2 * products
            logits = -_SHARPNESS * distance
            if prior:
                logits = logits + diagonal(frames, tokens, mel.shape[2], ids.shape[1], logits.dtype)
            padding = ~inside(tokens, ids.shape[1])[:, None]
            # A clip without symbols has no row to normalise: its first column stands for it, and its loss counts nothing.
            padding = padding & (torch.arange(ids.shape[1], device=ids.device) > 0)
            return logits.masked_fill(padding, -math.inf).log_softmax(2)


def _through(layers: nn.ModuleList, x: Tensor, mask: Tensor) -> Tensor:
    """Convolutions with rectifiers between, over (B, C, L) whose padding is 0, as it is for a text or mel alone."""
    mask = mask[:, None]
    for i, layer in enumerate(layers):
        x = layer((x.relu() if i else x) * mask)
    return x * mask


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
