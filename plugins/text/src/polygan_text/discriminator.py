"""Convolutions over windows of tokens, the maximum over time, a highway layer, dropout, one logit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

PAPER_FILTERS = tuple(zip((*range(1, 11), 15, 20), (100, *[200] * 4, *[100] * 5, 160, 160), strict=True))
"""(tokens in a window, feature maps) of Yu et al. 2017 for sequences of 20 tokens."""
CHUNK = 256
"""Sequences that are scored at a time: their feature maps stay near the processor."""
COMPLETIONS = 1024
"""Completions that are scored at a time: more than `CHUNK`, because memory limits sums of table rows."""
TABLES = 2**26
"""Most numbers in the tables for windows of completions: 256 MB. The paper's filters take 250 MB."""


class Discriminator(nn.Module):
    """Sequences (n, L) of token ids to logits (n,) of being real (Kim 2014; Yu et al. 2017, section 3.3).

    Windows longer than ``length`` are left out. A class adds the product of its embedding and the features to the logit
    (Miyato and Koyama 2018). The paper's two outputs under a softmax are one logit here: the same function.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        embedding_dim: int = 64,
        filters: Sequence[tuple[int, int]] = PAPER_FILTERS,
        *,
        dropout: float = 0.25,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding_dim)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(embedding_dim, maps, (1, size), bias=False) for size, maps in filters if size <= length
        )
        width = sum(maps for size, maps in filters if size <= length)
        self.bias = nn.Parameter(torch.full((width,), 0.1))
        self.highway = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        self.head = nn.Linear(width, 1)
        self.classes = nn.Embedding(classes, width) if classes else None
        self.dropout = dropout
        nn.init.uniform_(self.embedding.weight, -1, 1)
        for convolution in self.convolutions:
            nn.init.trunc_normal_(next(convolution.parameters()), std=0.1, a=-0.2, b=0.2)
        nn.init.trunc_normal_(self.head.weight, std=0.1, a=-0.2, b=0.2)
        if self.classes is not None:
            nn.init.zeros_(self.classes.weight)

    def features(self, tokens: Tensor) -> Tensor:
        """(n, width) features of each sequence, before dropout."""
        x = self._embed(tokens)
        return self._combine([convolution(x).amax((2, 3)) for convolution in self.convolutions])

    def _embed(self, tokens: Tensor) -> Tensor:
        """Embeddings (n, embedding_dim, 1, L), laid out in memory as (n, L, embedding_dim): channels_last."""
        return self.embedding(tokens)[:, None].permute(0, 3, 1, 2)

    def _combine(self, pooled: list[Tensor]) -> Tensor:
        """(n, width) features from each convolution's maximum over time (n, maps)."""
        # The bias and the rectifier are monotone: after the maximum they give the same result with L times fewer numbers.
        x = F.relu(torch.cat(pooled, 1) + self.bias)  # (n, width)
        gate = self.gate(x).sigmoid()
        return gate * F.relu(self.highway(x)) + (1 - gate) * x  # Srivastava et al. 2015, eq. 3

    def logits(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n,) in float32 from features (n, width)."""
        logits = self.head(features).squeeze(1)
        if self.classes is not None and labels is not None:
            logits = logits + (self.classes(labels) * features).sum(1)
        return logits.float()

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n,), with dropout in training mode."""
        return self.logits(F.dropout(self.features(tokens), self.dropout, self.training), labels)

    @torch.no_grad()
    def score(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n,) that reward a generator: without dropout, in chunks, without gradients."""
        scores = []
        for begin in range(0, len(tokens), CHUNK):
            rows = slice(begin, begin + CHUNK)
            scores.append(self.logits(self.features(tokens[rows]), None if labels is None else labels[rows]))
        return torch.cat(scores)

    @torch.no_grad()
    def score_completions(self, tokens: Tensor, complete: Tensor, labels: Tensor | None = None) -> Tensor:
        """`score` (K, copies, n) of completions (K, copies, n, L) whose entry k begins as ``tokens[:, :k + 1]`` (n, L).

        Windows within the common beginning are convolved once, not once a completion: a third of the work for the paper's
        filters. Other windows are sums of table rows if the vocabulary is small enough.
        """
        _, copies, n, length = complete.shape
        convolve = self._convolved(complete.numel())
        common = []  # for each convolution: the maximum over windows that begin at 0, 1, ... up to each place
        for windows, _ in convolve:
            common.append(windows(tokens).cummax(1).values)  # (n, L - size + 1, maps)
        told = None if labels is None else labels.repeat(copies)
        scores = []
        for k, rows in enumerate(complete.flatten(1, 2)):  # (copies * n, L)
            chunks = []
            for begin in range(0, len(rows), COMPLETIONS):
                part = rows[begin : begin + COMPLETIONS]
                of = torch.arange(begin, begin + len(part), device=part.device) % n
                pooled = []
                for (windows, size), known in zip(convolve, common, strict=True):
                    first = min(
                        max(0, k + 2 - size), length - size
                    )  # the first window that reaches beyond the beginning
                    most = windows(part[:, first:]).amax(1)
                    pooled.append(torch.maximum(most, known[of, first - 1]) if first else most)
                chunks.append(
                    self.logits(self._combine(pooled), None if told is None else told[begin : begin + COMPLETIONS])
                )
            scores.append(torch.cat(chunks))
        return torch.stack(scores).view(-1, copies, n)

    def _convolved(self, count: int) -> list[tuple[Callable[[Tensor], Tensor], int]]:
        """For each convolution: a function from tokens (n, L) to all windows' values (n, L - size + 1, maps), and the window size.

        What a token adds to a window depends only on its place in the window. A table holds these products for the whole
        vocabulary, and a window is the sum of ``size`` table rows: for 64 numbers a token a 64th of the arithmetic.
        ``count`` is the number of tokens to come; tables do not pay for a larger vocabulary.
        """
        weights = [next(c.parameters())[:, :, 0] for c in self.convolutions]  # (maps, embedding, size)
        vocabulary = len(self.embedding.weight)
        if vocabulary > count or vocabulary * sum(maps * size for maps, _, size in (w.shape for w in weights)) > TABLES:
            windows = [lambda t, c=c: c(self._embed(t)).squeeze(2).transpose(1, 2) for c in self.convolutions]
        else:
            windows = [_sums(self.embedding.weight @ w.permute(2, 1, 0)) for w in weights]
        return list(zip(windows, (w.shape[2] for w in weights), strict=True))


def _sums(table: Tensor) -> Callable[[Tensor], Tensor]:
    """A function from tokens (n, L) to sums over windows (n, L - size + 1, maps) of the rows of a table (size, V, maps)."""
    size, vocabulary, maps = table.shape
    rows = table.view(size * vocabulary, maps)
    begins = torch.arange(size, device=table.device) * vocabulary

    def windows(tokens: Tensor) -> Tensor:
        index = tokens.unfold(1, size, 1) + begins  # (n, L - size + 1, size)
        return F.embedding_bag(index.flatten(0, 1), rows, mode="sum").view(*index.shape[:2], maps)

    return windows
