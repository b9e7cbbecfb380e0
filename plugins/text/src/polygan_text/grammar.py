"""A small grammar of English sentences with known likelihoods, for tests, the demo, and first tries."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

CLASSES = ("statement", "question")

_Rule = tuple[tuple[float, str], ...]
RULES: dict[str, _Rule] = {
    "STATEMENT": ((0.7, "NP VS ."), (0.3, "PLACE , NP VS .")),
    "QUESTION": ((0.6, "does NP VP ?"), (0.4, "where does NP VP ?")),
    "NP": ((0.65, "the NOUN"), (0.35, "the ADJ NOUN")),
    "VS": ((0.6, "VERBS NP"), (0.4, "RESTS PLACE")),
    "VP": ((0.6, "VERB NP"), (0.4, "REST")),
    "PLACE": ((0.4, "in the GROUND"), (0.35, "near the GROUND"), (0.25, "behind the GROUND")),
    "NOUN": tuple(
        (p, w)
        for p, w in zip(
            (0.3, 0.2, 0.15, 0.15, 0.1, 0.1), ["dog", "cat", "child", "farmer", "bird", "horse"], strict=True
        )
    ),
    "ADJ": tuple((0.2, w) for w in ["old", "young", "small", "brown", "quiet"]),
    "VERBS": tuple((0.25, w) for w in ["sees", "follows", "likes", "calls"]),
    "VERB": tuple((0.25, w) for w in ["see", "follow", "like", "call"]),
    "RESTS": ((0.5, "sleeps"), (0.3, "waits"), (0.2, "sings")),
    "REST": ((0.5, "sleep"), (0.3, "wait"), (0.2, "sing")),
    "GROUND": tuple((p, w) for p, w in zip((0.4, 0.3, 0.2, 0.1), ["garden", "house", "barn", "river"], strict=True)),
}
"""Probability and expansion of each symbol in capitals; the first symbol is STATEMENT or QUESTION, each half the time."""
_MARKS = {".", ",", "?"}


def write_sentence(rng: np.random.Generator) -> tuple[str, int]:
    """A sentence and its class."""
    label = int(rng.integers(2))
    words = _expand(CLASSES[label].upper(), rng)
    return "".join(w if w in _MARKS else f" {w}" for w in words).strip(), label


def _expand(symbol: str, rng: np.random.Generator) -> list[str]:
    if symbol not in RULES:
        return [symbol]
    chances, choices = zip(*RULES[symbol], strict=True)
    chosen = choices[int(rng.choice(len(choices), p=chances))]
    return [word for part in chosen.split() for word in _expand(part, rng)]


def log_likelihood(sentence: str, label: int | None = None) -> float:
    """Log-likelihood of a sentence in nats, for one class or both; minus infinity if the grammar cannot write the sentence."""
    for mark in _MARKS:
        sentence = sentence.replace(mark, f" {mark}")
    words = tuple(sentence.split())
    starts = CLASSES if label is None else (CLASSES[label],)
    chance = sum(_chance((s.upper(),), words) for s in starts) / len(starts)
    return math.log(chance) if chance > 0 else -math.inf


@lru_cache(maxsize=200_000)
def _chance(symbols: tuple[str, ...], words: Sequence[str]) -> float:
    """The probability that the symbols expand to exactly these words."""
    if not symbols or not words:
        return float(not symbols and not words)
    first, rest = symbols[0], symbols[1:]
    if first not in RULES:
        return _chance(rest, words[1:]) if words[0] == first else 0.0
    return sum(p * _chance((*text.split(), *rest), words) for p, text in RULES[first])
