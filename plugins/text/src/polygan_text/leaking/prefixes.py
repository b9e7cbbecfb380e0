"""Features of every prefix of a text, one token after the other: no window of tokens is convolved twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from ..discriminator import Discriminator
    from ..policy import State


class _Windows(NamedTuple):
    """A convolution of ``size`` tokens to ``maps`` features."""

    size: int
    maps: int
    weight: Tensor
    """(embedding, size * maps): the weights of the last token of a window first."""
    empty: Tensor
    """(maps,): the value of a window of padding alone."""


class PrefixReader:
    """Reads texts token by token and gives the discriminator's features of what was read so far, padded to the full length.

    The last row of the discriminator's embedding is the padding. A window that a prefix cuts has padding in its open places. A token
    that arrives replaces the padding in each window around its place, so a step costs one product with the weights.

    The state, of rows that all have read ``place`` tokens: the largest value of each feature among closed windows (n, width), then for
    each convolution the values of its open windows (n, windows * maps).
    """

    def __init__(self, discriminator: Discriminator, length: int) -> None:
        """``discriminator`` for texts of ``length`` tokens; its weights must not change while the reader is used."""
        self.discriminator, self.length = discriminator, length
        padding = discriminator.embedding.weight[-1]
        self.difference = discriminator.embedding.weight - padding  # what a token changes where padding was
        self.windows = []
        for convolution in discriminator.convolutions:
            weight = next(convolution.parameters())[:, :, 0]  # (maps, embedding, size)
            maps, width, size = weight.shape
            ordered = weight.flip(2).permute(1, 2, 0).reshape(width, size * maps)
            self.windows.append(_Windows(size, maps, ordered, weight.sum(2) @ padding))

    def start(self, n: int) -> State:
        """The state of ``n`` empty texts."""
        weight = self.difference
        width = sum(w.maps for w in self.windows)
        return (weight.new_full((n, width), -torch.inf), *(weight.new_empty(n, 0) for _ in self.windows))

    def advance(self, state: State, place: int, tokens: Tensor) -> State:
        """The state after one more token of each text, ``tokens`` (n,), at ``place`` (0 for the first token)."""
        embedded = self.difference[tokens]  # (n, embedding)
        closed, opened = [], []
        for (size, maps, weight, empty), best, before in zip(
            self.windows, self._split(state[0]), state[1:], strict=True
        ):
            first, last = max(0, place - size + 1), min(place, self.length - size)  # windows around the place
            skipped = size - 1 - place + first  # places of the first window after this one
            now = embedded @ weight[:, skipped * maps : (skipped + last - first + 1) * maps]  # (n, windows * maps)
            now[:, : before.shape[1]] += before
            if last == place:
                now[:, before.shape[1] :] += empty
            if first == place - size + 1:  # the first window is full
                best, now = torch.maximum(best, now[:, :maps]), now[:, maps:]
            closed.append(best)
            opened.append(now)
        return (torch.cat(closed, 1), *opened)

    def pooled(self, state: State, place: int) -> Tensor:
        """(n, width) the maximum over all windows, of texts of which ``place`` tokens were read."""
        found = []
        for (size, maps, _, empty), best, now in zip(self.windows, self._split(state[0]), state[1:], strict=True):
            most = torch.maximum(best, now.unflatten(1, (-1, maps)).amax(1)) if now.shape[1] else best
            found.append(torch.maximum(most, empty) if place <= self.length - size else most)
        return torch.cat(found, 1)

    def features(self, state: State, place: int) -> Tensor:
        """(n, width) features of texts of which ``place`` tokens were read."""
        return self.discriminator._combine([self.pooled(state, place)])

    def read(self, tokens: Tensor) -> Tensor:
        """Features (n, L + 1, width) of all prefixes of tokens (n, L), the empty one first."""
        n, length = tokens.shape
        state, pooled = self.start(n), []
        for place in range(length + 1):
            pooled.append(self.pooled(state, place))
            if place < length:
                state = self.advance(state, place, tokens[:, place])
        return self.discriminator._combine([torch.stack(pooled, 1).flatten(0, 1)]).view(n, length + 1, -1)

    def _split(self, best: Tensor) -> tuple[Tensor, ...]:
        return best.split([w.maps for w in self.windows], 1)
