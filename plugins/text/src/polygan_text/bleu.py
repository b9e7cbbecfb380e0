"""Sentence BLEU of many texts against the same references, whose n-grams are counted once."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from polygan import DataError

from .scores.errors import jackknife, of_mean
from .scores.words import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from .scores.words import Words

ORDERS = (2, 3, 4, 5)
_LONGEST = max(ORDERS)
_NOTHING_MET = 0.1


class References:
    """The facts of references that BLEU needs: their lengths, and the highest count of each n-gram in one reference.

    An n-gram with an `UNKNOWN` word matches nothing, not even another such n-gram.
    """

    def __init__(self, texts: Sequence[Words]) -> None:
        self.lengths = Counter(len(text) for text in texts)
        self.most: dict[tuple[Hashable, ...], tuple[int, int, int]] = {}
        """For each n-gram: the highest count, the number of its text, and the highest count in any other text."""
        for i, text in enumerate(texts):
            for n in range(1, _LONGEST + 1):
                for gram, count in grams(text, n).items():
                    if UNKNOWN in gram:
                        continue
                    best, owner, second = self.most.get(gram, (0, -1, 0))
                    self.most[gram] = (count, i, best) if count > best else (best, owner, max(second, count))

    def bleu(self, text: Words, without: int | None = None) -> list[float]:
        """BLEU-2, -3, -4 and -5 in [0, 1] (Papineni et al. 2002), against all references or all but number ``without``.

        Smoothed (Chen and Cherry 2014, method 1): a precision of zero counts as 0.1 over the number of n-grams.
        """
        if not text:
            return [0.0] * len(ORDERS)
        logs = []
        for n in range(1, _LONGEST + 1):
            found = grams(text, n)
            met = sum(min(count, self._highest(gram, without)) for gram, count in found.items())
            if n == 1 and not met:
                return [0.0] * len(ORDERS)
            logs.append(math.log((met or _NOTHING_MET) / max(1, found.total())))
        shortness = min(0.0, 1 - self._closest(len(text), without) / len(text))
        return [math.exp(shortness + sum(logs[:n]) / n) for n in ORDERS]

    def _highest(self, gram: tuple[Hashable, ...], without: int | None) -> int:
        best, owner, second = self.most.get(gram, (0, -1, 0))
        return second if owner == without else best

    def _closest(self, length: int, without: int | None) -> int:
        """The reference length nearest to ``length``, or the shorter of two; the text ``without`` has the length ``length``."""
        lengths = self.lengths - Counter([length] if without is not None else [])
        return min(lengths, key=lambda other: (abs(other - length), other))


def grams(text: Words, n: int) -> Counter[tuple[Hashable, ...]]:
    """How often each n-gram occurs."""
    return Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))


def against(texts: Sequence[Words], references: References | Sequence[Words]) -> list[float]:
    """Mean BLEU-2 to -5 of texts, each against all references."""
    return _mean(_each(texts, references))


def against_with_errors(
    texts: Sequence[Words], references: References | Sequence[Words]
) -> tuple[list[float], list[float | None]]:
    """`against`, and the standard errors over texts for these references."""
    found = _each(texts, references)
    return _mean(found), [of_mean(column) for column in zip(*found, strict=True)]


def _each(texts: Sequence[Words], references: References | Sequence[Words]) -> list[list[float]]:
    known = references if isinstance(references, References) else References(references)
    return [known.bleu(text) for text in texts]


def against_each_other(texts: Sequence[Words]) -> list[float]:
    """Mean BLEU-2 to -5 of two texts or more, each against all others (Zhu et al. 2018, self-BLEU)."""
    known = References(texts)
    return _mean([known.bleu(text, i) for i, text in enumerate(texts)])


def against_each_other_with_errors(texts: Sequence[Words]) -> tuple[list[float], list[float | None]]:
    """`against_each_other`, and its standard errors by `jackknife`: each text is also a reference of all others."""
    return against_each_other(texts), jackknife(texts, against_each_other)


def _mean(scores: list[list[float]]) -> list[float]:
    return [sum(column) / len(scores) for column in zip(*scores, strict=True)]


def fitting_orders(real: Sequence[Words]) -> tuple[list[int], str]:
    """The orders that half of the real texts or more are long enough for, and the end of a note about the others.

    A text of 4 words has no 5-gram, and its BLEU-5 would be made of smoothing alone. Raises `DataError` if no order is left.
    """
    usual = sorted(map(len, real))[len(real) // 2]
    orders = [n for n in ORDERS if n <= usual]
    short = f"half of the real texts have at most {usual} word{'' if usual == 1 else 's'}"
    if not orders:
        raise DataError(f"{short}, and BLEU needs 2; use longer texts")
    return orders, f"; no BLEU-{orders[-1] + 1}: {short}" if len(orders) < len(ORDERS) else ""
