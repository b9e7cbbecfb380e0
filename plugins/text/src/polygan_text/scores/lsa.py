"""Latent semantic analysis: embeddings of texts by the words of the training texts, without any weights of others."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from .words import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_TERMS = 20_000
_SIZE = 64
_ROUNDS = 4  # of the power iteration


class LSA:
    """Counts of words and pairs of words, weighted by their rarity, on the main directions of the training texts.

    Deerwester et al. 1990, "Indexing by latent semantic analysis", with TF-IDF weights. Letters are small. The
    same training texts give the same embedding; the random numbers of the caller stay as they are.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(_terms(text)) for text in texts]
        seen = Counter(term for count in counts for term in count)  # in how many texts
        usual = [(term, n) for term, n in seen.most_common(_TERMS) if n > 1] or seen.most_common(_TERMS)
        self.index = {term: i for i, (term, _) in enumerate(usual)}
        rarity = [math.log((1 + len(texts)) / (1 + n)) + 1 for _, n in usual]
        self.rarity = torch.tensor(rarity, dtype=torch.float64)
        self.name = f"lsa, fitted on {len(texts)} training texts"
        size = min(_SIZE, len(texts), len(usual))
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(0)
            weights = self._weights(counts)
            self.directions = torch.svd_lowrank(weights, size, _ROUNDS)[2] if size else torch.zeros(0, 1).double()

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """(n, d) embeddings, d at most 64, each of length 1 at most; 0 for a text without a known word."""
        return (self._weights([Counter(_terms(text)) for text in texts]) @ self.directions).float()

    def _weights(self, counts: Sequence[Counter[str]]) -> Tensor:
        """(n, terms) sparse: 1 + the logarithm of each count, times the term's rarity, each row of length 1."""
        places, values = [], []
        for row, count in enumerate(counts):
            found = {self.index[term]: 1 + math.log(n) for term, n in count.items() if term in self.index}
            columns = torch.tensor(list(found), dtype=torch.long)
            weights = torch.tensor(list(found.values()), dtype=torch.float64) * self.rarity[columns]
            places.append(torch.stack([torch.full_like(columns, row), columns]))
            values.append(weights / weights.norm().clamp(min=1e-12))
        shape = (len(counts), len(self.index))
        return torch.sparse_coo_tensor(
            torch.cat(places, 1), torch.cat(values), shape, check_invariants=False
        ).coalesce()


def _terms(text: str) -> list[str]:
    """The words and the pairs of neighbouring words of a text, in small letters."""
    words = cut(text.lower())
    return [*words, *(f"{a} {b}" for a, b in pairwise(words))]
