"""Embeddings of symbols."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ..text.phonemes import LENGTHS, PARTS, STRESSES, PhonemeAlphabet

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..text.symbols import Alphabet


def embedding_of(alphabet: Alphabet | PhonemeAlphabet) -> Callable[[int], nn.Module]:
    """A function from the number of channels to an embedding of an alphabet's numbers, and of one more, which ends a text."""
    if isinstance(alphabet, PhonemeAlphabet):
        return partial(PhonemeEmbedding, len(alphabet) // PARTS + 1)
    return partial(nn.Embedding, len(alphabet) + 1)


class PhonemeEmbedding(nn.Module):
    """The sum of the vectors of a phoneme's base symbol, its stress and its length."""

    def __init__(self, bases: int, dim: int) -> None:
        super().__init__()
        self.base = nn.Embedding(bases, dim)
        self.stress = nn.Embedding(1 + len(STRESSES), dim)
        self.length = nn.Embedding(1 + len(LENGTHS), dim)

    def forward(self, ids: Tensor) -> Tensor:
        """Numbers (B, S) of `PhonemeAlphabet` to vectors (B, S, C)."""
        parts = ids % PARTS
        lengths = 1 + len(LENGTHS)
        return self.base(ids // PARTS) + self.stress(parts // lengths) + self.length(parts % lengths)
