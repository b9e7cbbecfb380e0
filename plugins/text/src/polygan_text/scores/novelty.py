"""Novelty: the share of a text's n-grams that stand nowhere in the training texts, or nowhere in the text's source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from polygan import DataError, Score

from ..bleu import grams
from ..data.facts import TEXTS
from ..likelihoods import need_held_out, real_texts, score_name, texts_made
from .errors import of_ratio
from .words import UNKNOWN, cut, unit, words_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from polygan import Evaluation

    from .words import Words

    Share = tuple[np.ndarray, np.ndarray]
    """(n,) new n-grams of each text, and (n,) n-grams of each text, both without n-grams of unknown words."""

ORDERS = (1, 2, 3, 4)
_UNKNOWN, _NEW = 0, 1  # numbers of words; the words of training texts follow
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_ROWS = 1 << 20  # n-grams in memory at a time


class Known:
    """The words of texts in a row, 4 bytes a word, which tells the n-grams of other texts that stand nowhere in them."""

    def __init__(self, texts: Iterable[Words]) -> None:
        self.index: dict[Hashable, int] = {UNKNOWN: _UNKNOWN}
        pieces, lengths = [], []
        for text in texts:
            pieces.append(np.array([self.index.setdefault(w, len(self.index) + 1) for w in text], np.int32))
            lengths.append(len(text))
        self.ids = np.concatenate(pieces or [np.zeros(0, np.int32)])
        self.ends = np.cumsum(lengths, dtype=np.int64)

    def share(self, texts: Sequence[Words], n: int) -> Share:
        """How many n-grams of each text stand in no known text, and how many n-grams there are.

        N-grams with a word outside the vocabulary count on neither side. N-grams are compared by hashes of 64 bits.
        """
        ids = [np.array([self.index.get(w, _NEW) for w in text], np.int32) for text in texts]
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        hashes, owners, whole = _hashes(np.concatenate(ids or [np.zeros(0, np.int32)]), ends, n)
        hashes, owners = hashes[whole], owners[whole]
        found, places = np.unique(hashes, return_inverse=True)
        new = ~self._met(found, n)[places]
        counts = np.bincount(owners, minlength=len(texts))
        return np.bincount(owners[new], minlength=len(texts)), counts

    def _met(self, found: np.ndarray, n: int) -> np.ndarray:
        """Which of some sorted hashes belong to an n-gram of the known texts."""
        met = np.zeros(len(found), bool)
        if not len(found):
            return met
        for begin in range(0, len(self.ids), _ROWS):
            stop = min(begin + _ROWS + n - 1, len(self.ids))
            hashes, _, whole = _hashes(self.ids[begin:stop], np.clip(self.ends - begin, 0, stop - begin), n)
            hashes = hashes[whole]
            places = np.searchsorted(found, hashes).clip(max=len(found) - 1)
            met[places[found[places] == hashes]] = True
        return met


def _hashes(ids: np.ndarray, ends: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each place (m,) of words in a row: the n-gram's hash, its text's number, and whether it is whole and known.

    ``ends`` (k,) are the places where the texts end. An n-gram over the end of a text is not whole.
    """
    size = max(0, len(ids) - n + 1)
    hashes, known = np.zeros(size, np.uint64), np.ones(size, bool)
    for k in range(n):
        part = ids[k : k + size]
        hashes = (hashes ^ (hashes >> np.uint64(29))) * _FACTOR + part.astype(np.uint64)
        known &= part != _UNKNOWN
    owners = np.searchsorted(ends, np.arange(len(ids)), side="right")
    return hashes, owners[:size], known & (owners[:size] == owners[n - 1 : n - 1 + size])


def in_source(texts: Sequence[Words], sources: Sequence[Words], n: int) -> Share:
    """How many n-grams of each text do not stand in the text's own source, and how many there are."""
    new, counts = [], []
    for text, source in zip(texts, sources, strict=True):
        known = grams(source, n)
        own = {gram: count for gram, count in grams(text, n).items() if UNKNOWN not in gram}
        counts.append(sum(own.values()))
        new.append(sum(count for gram, count in own.items() if gram not in known))
    return np.array(new), np.array(counts)


def novelty(evaluation: Evaluation) -> list[Score]:
    """``text/novelty-4``: share of generated 4-grams that stand nowhere in the training texts; the floor: of held-out 4-grams.

    The note has the shares of shorter n-grams. Where half of the held-out texts have fewer than 4 words, the name has the longest order
    that fits. A run with pairs also gets ``text/novelty-source-4``: 4-grams that stand nowhere in the text's own source (See et al. 2017,
    section 7.2), with the truths' share as floor. Far below its floor a generator copies; above it, the generator strays from the data.
    """
    need_held_out(evaluation)
    e, n = evaluation, min(evaluation.samples, len(evaluation.held_out))
    known = e.once("text/known n-grams", lambda: Known(_all_words(e)))
    real = words_of(real_texts(e, e.held_out, n), e.info)
    orders = _orders(real)
    floors = e.once(("text/novelty floor", n), lambda: [known.share(real, k) for k in orders])
    what = f"that no training text ({len(e.train)}) has, by {unit(e.info)}"
    scores = []
    for policy, samples in texts_made(e, e.samples):
        made = words_of(samples, e.info)
        shares = [known.share(made, k) for k in orders]
        scores.append(_score(score_name(f"text/novelty-{orders[-1]}", policy), what, shares, floors))
    return [*scores, *(_against_sources(e, orders) if e.paired else [])]


def _against_sources(evaluation: Evaluation, orders: Sequence[int]) -> list[Score]:
    """The share of n-grams that the text's own source lacks, and the same of the truths."""
    pairs = evaluation.pairs(evaluation.samples)
    sources = [cut(text) for text in pairs.given.data]
    shares, floors = (
        [in_source(words_of(side, evaluation.info), sources, k) for k in orders] for side in (pairs.made, pairs.truth)
    )
    return [_score(f"text/novelty-source-{orders[-1]}", "that the text's own source lacks, by words", shares, floors)]


def _orders(real: Sequence[Words]) -> list[int]:
    usual = sorted(map(len, real))[len(real) // 2]
    return [k for k in ORDERS if k <= max(1, usual)]


def _all_words(evaluation: Evaluation) -> Iterator[Words]:
    """The words of all training texts, some hundred texts in memory at a time."""
    rows = np.sort(np.asarray(evaluation.train.rows))
    for begin in range(0, len(rows), TEXTS):
        samples = evaluation.domain.real(evaluation.train, rows[begin : begin + TEXTS])
        yield from words_of(samples, evaluation.info)


def _score(name: str, what: str, shares: Sequence[Share], floors: Sequence[Share]) -> Score:
    """The score of the longest n-grams; the shares of shorter ones (1-grams first) are in the note."""
    longest, (new, counts), (_, real) = len(shares), shares[-1], floors[-1]
    if not counts.sum():
        raise DataError(f"{name}: none of {len(counts)} generated texts has {longest} known words; train longer")
    note = (
        f"share of {longest}-grams {what}; {len(counts)} texts; far below the floor is copying, far above it is noise"
    )
    for k, (own, theirs) in enumerate(zip(shares[:-1], floors, strict=False), 1):
        note += f"; {k}-grams {_share(own):.3g} (floor {_share(theirs):.3g})"
    floor = _share(floors[-1]) if real.sum() else None
    better = "higher" if floor is None else "near"  # without held-out texts of this length nothing can be near
    return Score(name, _share(shares[-1]), floor, better, note, error=of_ratio(new, counts))


def _share(found: Share) -> float:
    return float(found[0].sum()) / max(1, int(found[1].sum()))
