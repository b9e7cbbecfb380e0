"""Policies that write a text for each source: one distribution serves likelihoods, sampling and rollouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..policy import join, select
from ..rollout import ROWS
from .pointer import Memory
from .sources import copyable, plain, present

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from ..policy import State
    from .pointer import Distribution, PointerHead


class SourcePolicy(nn.Module):
    """A distribution over texts given a source. A subclass encodes the source and has the decoder.

    Tokens V + j (V the vocabulary) copy the unknown word at position j of the source; the decoder reads them as ``<unk>``.
    """

    vocabulary: int
    embedding: nn.Embedding
    head: PointerHead
    start_token: int
    dropout: float
    crossed = False
    """Whether each step of the decoder reads the source."""

    def encode(self, given: Tensor, dropout: float = 0.0) -> Memory:
        """The memory of sources (n, S), padded with the end token."""
        raise NotImplementedError

    def decode(self, inputs: Tensor, memory: Memory, dropout: float) -> Tensor:
        """States (n, L, H) after embedded tokens (n, L, E): state t has read the inputs up to t."""
        raise NotImplementedError

    def first(self, memory: Memory, index: Tensor) -> State:
        """What `step` remembers before the start token, for texts of the sources ``index`` (n,)."""
        raise NotImplementedError

    def step(self, inputs: Tensor, memory: Memory, past: State) -> tuple[Tensor, State]:
        """The state (n, H) after one more embedded token (n, E), and what the next step remembers.

        ``memory`` has one source for each text if the policy is `crossed`; another policy may not read it.
        """
        raise NotImplementedError

    def forward(self, tokens: Tensor, given: Tensor, *, dropped: bool = False) -> Distribution:
        """The distribution of each token (n, L), given the source (n, S) and the tokens before; with dropout where ``dropped``."""
        p = self.dropout if dropped else 0.0
        memory = self.encode(given, p)
        before = F.pad(plain(tokens, self.vocabulary)[:, :-1], (1, 0), value=self.start_token)
        inputs = F.dropout(self.embedding(before), p)
        states = self.decode(inputs, memory, p)
        return self.head(F.dropout(states, p), inputs, memory, self.embedding.weight, p)

    def remember(self, given: Tensor, values: Tensor, *more: Tensor) -> Memory:
        """The memory of sources (n, S) with the encoder's states (n, S, H)."""
        keys = self.head.attention.key(values)
        return Memory(copyable(given, self.vocabulary), present(given), values, keys, more)

    def of(self, given: Tensor) -> Writer:
        """The policy with sources (n, S) in its memory; for use without gradients."""
        return Writer(self, given)


class Writer:
    """A policy with sources in memory, as samplers and rollouts use a `Policy`: ``labels`` are the numbers of the sources."""

    def __init__(self, policy: SourcePolicy, given: Tensor) -> None:
        self.policy, self.given = policy, given
        self.vocabulary = policy.vocabulary + given.shape[1]
        with torch.no_grad():
            self.memory = policy.encode(given)

    def modules(self) -> Iterator[nn.Module]:
        """The networks of the policy, for whoever switches dropout off."""
        return self.policy.modules()

    def sampler(self) -> SourceSampler:
        """A sampler with the current weights and the memory."""
        return SourceSampler(self.policy, self.memory)

    @torch.no_grad()
    def log_probabilities(self, tokens: Tensor, labels: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """(n, L) nats of each token, given the source ``labels`` (n,) and the tokens before, at ``temperature``."""
        given = self.given if labels is None else self.given[labels]
        found = self.policy(tokens, given)
        if temperature == 1:
            return found.log_probability(tokens)
        logits = found.probabilities().log() / temperature
        return logits.log_softmax(2).gather(2, tokens[:, :, None]).squeeze(2)


class SourceSampler:
    """A sampler (`polygan_text.policy.Sampler`) of texts for sources.

    The memory of the sources lies here once. A state holds each text's number of its source, the last token, the decoder's
    state, and what the decoder remembers: copies and selections of states copy no memory.
    """

    def __init__(self, policy: SourcePolicy, memory: Memory) -> None:
        self.policy, self.memory = policy, memory
        self.all = torch.arange(len(memory.values), device=memory.values.device)

    def start(self, n: int, labels: Tensor | None = None) -> State:
        """The state of ``n`` empty texts of the sources ``labels`` (n,); without labels, of the sources in order."""
        index = self.all[:n] if labels is None else labels
        tokens = torch.full((n,), self.policy.start_token, device=index.device)
        return self._after(index, tokens, self.policy.first(self.memory, index))

    def advance(self, state: State, tokens: Tensor) -> State:
        """The state after one more token of each text, ``tokens`` (n,)."""
        return self._after(state[0], plain(tokens, self.policy.vocabulary), state[3:])

    def _after(self, index: Tensor, tokens: Tensor, past: State) -> State:
        inputs = self.policy.embedding(tokens)
        if not self.policy.crossed:
            hidden, past = self.policy.step(inputs, self.memory, past)
            return (index, tokens, hidden, *past)
        pieces = []
        for begin in range(0, len(index), ROWS):  # some rows at a time, because each row may need a copy of its source
            rows = slice(begin, begin + ROWS)
            memory = self.memory.rows(self._places(index[rows]))
            pieces.append(self.policy.step(inputs[rows], memory, select(past, rows)))
        hidden = torch.cat([state for state, _ in pieces])
        return (index, tokens, hidden, *join([kept for _, kept in pieces]))

    def _places(self, index: Tensor) -> Tensor | slice:
        """The sources ``index`` (m,), as a slice where the tensor is a part of `all`: then no memory is copied."""
        if index is not self.all and index._base is not self.all:
            return index
        return slice(index.storage_offset(), index.storage_offset() + len(index))

    def logits(self, state: State) -> Tensor:
        """(n, V + S) logarithms of the next token's probabilities; minus infinity where a token cannot be written."""
        index, tokens, hidden = state[:3]
        policy, memory = self.policy, self.memory.rows(self._places(index), more=False)
        inputs = policy.embedding(tokens)[:, None]
        return policy.head(hidden[:, None], inputs, memory, policy.embedding.weight).probabilities()[:, 0].log()
