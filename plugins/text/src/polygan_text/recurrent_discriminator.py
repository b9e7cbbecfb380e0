"""A recurrent discriminator: an LSTM scores each token given the tokens before it, and the sum is one logit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from .data.facts import OPEN
from .recurrent import LSTM
from .rollout import valid

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 1024
"""Sequences that are scored at a time."""


class RecurrentDiscriminator(nn.Module):
    """Sequences (n, L) of token ids to logits (n,) of being real.

    A logit is a bias plus ``output(x_t) . h_t + bias(x_t)`` for every token x_t up to the first ``eos``, where h_t is the
    state of an LSTM after the tokens before t. The best discriminator is log p_real(x) - log p_fake(x) (Goodfellow et al.
    2014, proposition 1), which is such a sum if both models are autoregressive. De Masson d'Autume et al. 2019,
    arXiv:1905.09922, section 3, also count every step of an LSTM. The class is the first input.
    """

    def __init__(
        self,
        vocabulary: int,
        embedding_dim: int = 64,
        hidden_dim: int = 64,
        *,
        dropout: float = 0.25,
        classes: int = 0,
        eos: int | None = None,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding_dim)
        self.first = nn.Embedding(max(1, classes), embedding_dim)
        self.lstm = LSTM(embedding_dim, hidden_dim, batch_first=True)
        self.output = nn.Embedding(vocabulary, hidden_dim)
        self.token_bias = nn.Embedding(vocabulary, 1)
        self.bias = nn.Parameter(torch.zeros(()))
        self.dropout, self.eos = dropout, eos
        nn.init.normal_(self.output.weight, std=0.1)
        nn.init.zeros_(self.token_bias.weight)

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n,) in float32; in training mode with dropout on the LSTM's inputs and outputs."""
        return self._logits(tokens, labels, self.dropout if self.training else 0.0)

    def _logits(self, tokens: Tensor, labels: Tensor | None, dropout: float) -> Tensor:
        return self._terms(tokens, labels, dropout).sum(1) + self.bias

    def _terms(self, tokens: Tensor, labels: Tensor | None, dropout: float) -> Tensor:
        seen, tokens = tokens != OPEN, tokens.clamp(min=0)
        known = tokens.new_zeros(len(tokens)) if labels is None else labels
        given = torch.cat([self.first(known)[:, None], self.embedding(tokens[:, :-1])], 1)  # (n, L, embedding)
        hidden, _ = self.lstm(F.dropout(given, dropout))
        terms = (F.dropout(hidden, dropout) * self.output(tokens)).sum(2) + self.token_bias(tokens).squeeze(2)  # (n, L)
        return terms.float() * valid(tokens, self.eos) * seen

    @torch.no_grad()
    def terms(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Each token's part (n, L) of the logit, 0 after the end; the bias is no token's part. Without dropout, in chunks."""
        return torch.cat([self._terms(t, c, 0.0) for t, c in _chunks(tokens, labels)])

    @torch.no_grad()
    def score(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n,) that reward a generator: without dropout, in chunks, without gradients."""
        return torch.cat([self._logits(t, c, 0.0) for t, c in _chunks(tokens, labels)])

    @torch.no_grad()
    def score_completions(self, tokens: Tensor, complete: Tensor, labels: Tensor | None = None) -> Tensor:
        """`score` (K, copies, n) of completions (K, copies, n, L) of the prefixes of ``tokens`` (n, L); `OPEN` places add nothing."""
        told = None if labels is None else labels.repeat(complete[..., 0, 0].numel())
        return self.score(complete.flatten(0, 2), told).view(complete.shape[:3])


def _chunks(tokens: Tensor, labels: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
    """Sequences and their classes, `CHUNK` at a time."""
    parts = tokens.split(CHUNK)
    return list(zip(parts, [None] * len(parts) if labels is None else labels.split(CHUNK), strict=True))
