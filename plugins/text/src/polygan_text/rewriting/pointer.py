"""The pointer-generator (See et al. 2017, arXiv:1704.04368): words are generated, or copied from the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from .sources import FLOOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_PIECE = 1 << 23  # numbers that a step of additive attention makes at a time (34 MB)
_KEPT = 1 << 27  # numbers of a step that are kept for gradients (537 MB); of more, all are computed again
_TINY = 1e-30


def _again(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """The result of a function whose steps are computed again for gradients, and not kept."""
    found: Any = checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
    return found


class Memory(NamedTuple):
    """What a policy keeps of n sources of S tokens. The first dimension of every tensor counts sources."""

    tokens: Tensor
    """(n, S) what a copy of each position writes (`sources.copyable`)."""
    present: Tensor
    """(n, S) bool: the source itself, without the padding."""
    values: Tensor
    """(n, S, H) the encoder's states."""
    keys: Tensor
    """(n, S, A) what the pointer compares with a decoder's state."""
    more: tuple[Tensor, ...]
    """What the kind of policy needs beside."""

    def rows(self, index: Tensor | slice, *, more: bool = True) -> Memory:
        """The memory of some sources, one for each entry of ``index`` (m,); a slice copies nothing. Without ``more``: for the head."""
        rest = tuple(x[index] for x in self.more) if more else ()
        return Memory(self.tokens[index], self.present[index], self.values[index], self.keys[index], rest)


class Distribution(NamedTuple):
    """The distribution of each token (n, L): the vocabulary of V words, then S positions of the source."""

    words: Tensor
    """(n, L, V) float32 logits of the generated words, P_vocab (eq. 4 and 5)."""
    attention: Tensor
    """(n, L, S) float32 logarithms of the attention (eq. 2); `FLOOR` or less on padding."""
    gate: Tensor
    """(n, L) float32 logit of p_gen (eq. 8)."""
    tokens: Tensor
    """(n, S) what a copy of each position writes."""

    def log_probability(self, tokens: Tensor) -> Tensor:
        """(n, L) nats: eq. 9 for tokens (n, L) below V + S, as a sum of logarithms, so that no p_gen gives NaN.

        A word has the generated part, and the attention on all its positions. A token V + j has the attention on position j.
        """
        size = self.words.shape[2]
        known = tokens.clamp(max=size - 1)
        generated = -F.cross_entropy(self.words.flatten(0, 1), known.flatten(), reduction="none").view_as(tokens)
        generated = (generated + F.logsigmoid(self.gate)).masked_fill(tokens >= size, FLOOR)
        elsewhere = tokens[:, :, None] != self.tokens[:, None]  # (n, L, S)
        copied = self.attention.masked_fill(elsewhere, FLOOR).logsumexp(2) + F.logsigmoid(-self.gate)
        return torch.logaddexp(generated, copied)

    def probabilities(self) -> Tensor:
        """(n, L, V + S) eq. 9 for every token; 0 for the positions of known words, whose attention goes to the words."""
        generated = self.words.softmax(2) * self.gate.sigmoid()[:, :, None]
        copied = self.attention.exp() * (-self.gate).sigmoid()[:, :, None]
        places = self.tokens[:, None].expand(copied.shape)
        return F.pad(generated, (0, copied.shape[2])).scatter_add(2, places, copied)

    def entropy(self) -> Tensor:
        """(n, L) nats; large distributions are computed again for gradients, and not kept."""
        if self.words.numel() > _PIECE:
            return _again(self._entropy)
        return self._entropy()

    def _entropy(self) -> Tensor:
        found = self.probabilities()
        return -(found * found.clamp(min=_TINY).log()).sum(2)

    def coverage(self) -> Tensor:
        """(n, L) eq. 12: the attention on what the tokens before have attended to already; eq. 11 has no part in the attention."""
        attention = self.attention.exp()
        return torch.minimum(attention, attention.cumsum(1) - attention).sum(2)


class AdditiveAttention(nn.Module):
    """Eq. 1: e_i = v . tanh(W_h h_i + W_s s_t + b) (Bahdanau et al. 2015), in half of the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        size = max(1, width // 2)
        self.key = nn.Linear(width, size, bias=False)
        self.query = nn.Linear(width, size)
        self.score = nn.Linear(size, 1, bias=False)

    def forward(self, states: Tensor, keys: Tensor) -> Tensor:
        """Scores (n, L, S) of states (n, L, H) and keys (n, S, A); long texts in pieces, so that memory stays bounded."""
        query = self.query(states)
        pieces = query.split(max(1, _PIECE // max(1, keys.numel())), 1)
        if keys.numel() * query.shape[1] <= _KEPT:
            return torch.cat([self._scores(q, keys) for q in pieces], 1)
        return torch.cat([_again(self._scores, q, keys) for q in pieces], 1)

    def _scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return self.score((query[:, :, None] + keys[:, None]).tanh()).squeeze(3)


class DotAttention(nn.Module):
    """e_i = (W_h h_i) . (W_s s_t) / sqrt(width) (Vaswani et al. 2017, with one head)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(width, width, bias=False)
        self.query = nn.Linear(width, width)
        self.scale = width**-0.5

    def forward(self, states: Tensor, keys: Tensor) -> Tensor:
        """Scores (n, L, S) of states (n, L, H) and keys (n, S, H)."""
        return self.query(states) @ keys.transpose(1, 2) * self.scale


class PointerHead(nn.Module):
    """From a decoder's states to distributions (eq. 1 to 5, 8). The words' last projection is the embedding of the words."""

    def __init__(self, attention: AdditiveAttention | DotAttention, width: int, embedding: nn.Embedding) -> None:
        super().__init__()
        size, dim = embedding.weight.shape
        self.attention = attention
        self.mix = nn.Linear(2 * width, dim)
        self.bias = nn.Parameter(torch.zeros(size))
        self.gate = nn.Linear(2 * width + dim, 1)

    def forward(
        self, states: Tensor, inputs: Tensor, memory: Memory, words: Tensor, dropout: float = 0.0
    ) -> Distribution:
        """The distributions of states (n, L, H) with the embedded tokens before them (n, L, E); ``words`` (V, E) are the embeddings."""
        scores = self.attention(states, memory.keys).float()
        attention = scores.masked_fill(~memory.present[:, None], FLOOR).log_softmax(2)
        context = attention.exp().to(memory.values.dtype) @ memory.values  # (n, L, H), eq. 3
        both = torch.cat([states, context], 2)
        logits = F.linear(F.dropout(self.mix(both), dropout), words, self.bias.to(words.dtype))
        gate = self.gate(torch.cat([both, inputs], 2)).squeeze(2)
        return Distribution(logits.float(), attention, gate.float(), memory.tokens)
