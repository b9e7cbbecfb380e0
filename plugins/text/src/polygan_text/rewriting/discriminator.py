"""A discriminator of pairs: it reads the source, and weighs each token of the text given the source and the tokens before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..data.facts import EOS
from ..recurrent import LSTM
from ..rollout import valid
from .lstm import Encoder
from .pointer import DotAttention
from .sources import FLOOR, copyable, plain, present

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 256
"""Pairs that are scored at a time."""


class PairDiscriminator(nn.Module):
    """Texts (n, L) and sources (n, S) to logits (n,) of being a real text of this source.

    A logit is a bias plus a term for every token x_t up to the end, as in `RecurrentDiscriminator`:
    ``output(x_t) . f_t + bias(x_t) + copies * (attention on the positions of x_t)``. Here f_t joins the state of an LSTM after the
    tokens before t with what its attention reads in the source. The output of a copied unknown word is a map of its position's state.
    """

    def __init__(self, vocabulary: int, embedding_dim: int = 64, width: int = 64, *, dropout: float = 0.25) -> None:
        super().__init__()
        self.vocabulary, self.dropout = vocabulary, dropout
        self.embedding = nn.Embedding(vocabulary, embedding_dim)
        self.encoder = Encoder(embedding_dim, width)
        self.start = nn.Parameter(torch.zeros(embedding_dim))
        self.lstm = LSTM(embedding_dim, width, batch_first=True)
        self.attention = DotAttention(width)
        self.context = nn.Linear(2 * width, width)
        self.output = nn.Embedding(vocabulary, width)
        self.pointed = nn.Linear(width, width)
        self.token_bias = nn.Embedding(vocabulary, 1)
        self.copies = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(()))
        nn.init.normal_(self.output.weight, std=0.1)
        nn.init.zeros_(self.token_bias.weight)

    def forward(self, tokens: Tensor, given: Tensor) -> Tensor:
        """Logits (n,) in float32; in training mode with dropout."""
        return self._terms(tokens, given, self.dropout if self.training else 0.0).sum(1) + self.bias

    def _terms(self, tokens: Tensor, given: Tensor, dropout: float) -> Tensor:
        known, there = plain(tokens, self.vocabulary), present(given)
        memory, _ = self.encoder(F.dropout(self.embedding(given), dropout), there)
        before = torch.cat([self.start.expand(len(tokens), 1, -1), self.embedding(known[:, :-1])], 1)
        hidden, _ = self.lstm(F.dropout(before, dropout))
        scores = self.attention(hidden, self.attention.key(memory)).float()
        attention = scores.masked_fill(~there[:, None], FLOOR).softmax(2)  # (n, L, S)
        read = attention.to(memory.dtype) @ memory
        features = F.dropout(self.context(torch.cat([hidden, read], 2)).tanh(), dropout)
        position = (tokens - self.vocabulary).clamp(min=0)[:, :, None].expand(-1, -1, memory.shape[2])
        pointed = self.pointed(memory).gather(1, position)
        output = torch.where((tokens >= self.vocabulary)[:, :, None], pointed, self.output(known).to(pointed.dtype))
        same = copyable(given, self.vocabulary)[:, None] == tokens[:, :, None]
        copied = (attention * same).sum(2) * self.copies
        terms = (features * output).sum(2).float() + self.token_bias(known).squeeze(2).float() + copied
        return terms * valid(known, EOS)

    @torch.no_grad()
    def terms(self, tokens: Tensor, given: Tensor) -> Tensor:
        """(n, L) what each token adds to the logit, without dropout and gradients; 0 after the end."""
        pieces = zip(tokens.split(CHUNK), given.split(CHUNK), strict=True)
        return torch.cat([self._terms(t, g, 0.0) for t, g in pieces])

    def of(self, given: Tensor) -> PairJudge:
        """The discriminator with sources (n, S) at hand."""
        return PairJudge(self, given)


class PairJudge:
    """A discriminator that scores texts of known sources, as `polygan_text.reranking.Judge`: ``labels`` are the numbers of the sources."""

    def __init__(self, discriminator: PairDiscriminator, given: Tensor) -> None:
        self.discriminator, self.given = discriminator, given

    def score(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n,) of tokens (n, L), without dropout and gradients."""
        given = self.given if labels is None else self.given[labels]
        return self.discriminator.terms(tokens, given).sum(1) + self.discriminator.bias

    def score_completions(self, tokens: Tensor, complete: Tensor) -> Tensor:
        """`score` (K, copies, n) of completions (K, copies, n, L) of the prefixes of ``tokens`` (n, L), one for each source."""
        index = torch.arange(len(tokens), device=tokens.device).repeat(complete[..., 0, 0].numel())
        return self.score(complete.flatten(0, 2), index).view(complete.shape[:3])
