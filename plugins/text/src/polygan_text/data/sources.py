"""What texts are made from, as tokens: lengths, and where a text's unknown words stand in its source."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from .facts import EOS, UNK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .corpus import Corpus
    from .vocabulary import Vocabulary

_BATCH = 2_000  # rows that are encoded at a time, with the places of their tokens


@dataclass(frozen=True)
class Sources:
    """The sources of a corpus as tokens. Row i belongs to text i; a row that cannot be used has no tokens."""

    ids: np.ndarray
    """The tokens of all rows one after the other (int32), without ends."""
    offsets: np.ndarray
    """(rows + 1,) where each row begins."""
    copied: np.ndarray
    """For each token of the texts, one text after the other (int32): where in its source the same unknown word stands, or -1."""
    length: int
    """S: tokens of each source in the store, the end among them."""
    limit: int
    """Most tokens of a source, the end among them."""
    lengths: np.ndarray
    """Tokens of the source of each row that can be used, without the end."""
    unknown: int
    """How many tokens of the texts are unknown words."""
    unknown_share: float
    """Share of unknown words in the sources, [0, 1]."""

    @property
    def long(self) -> int:
        """How many sources are cut."""
        return int((self.lengths >= self.limit).sum())

    @property
    def copies(self) -> int:
        """How many unknown words of the texts stand in their source."""
        return int((self.copied >= 0).sum())

    def row(self, row: int) -> np.ndarray:
        """The tokens (S,) of one source, padded with the end token. A source that is cut ends with the end token too."""
        tokens = np.full(self.length, EOS, np.int32)
        ids = self.ids[self.offsets[row] : self.offsets[row + 1]][: self.length - 1]
        tokens[: len(ids)] = ids
        return tokens


def encode_sources(
    vocabulary: Vocabulary,
    corpus: Corpus,
    bad: Mapping[int, str],
    texts: tuple[np.ndarray, np.ndarray],
    rows: np.ndarray,
    limit: int,
) -> Sources:
    """The sources of a corpus. ``texts``: tokens and offsets of the texts; ``rows``: the rows that are samples."""
    ids, offsets = texts
    copied, counts, pieces = (
        np.full(len(ids), -1, np.int32),
        np.zeros(len(corpus) + 1, np.int64),
        [np.zeros(0, np.int32)],
    )
    for begin in range(0, len(corpus), _BATCH):
        used = [i for i in range(begin, min(begin + _BATCH, len(corpus))) if i not in bad]
        given = [corpus.given_text(i) for i in used]
        found = vocabulary.encodings(given)
        numbers = [vocabulary.numbers(e.ids) for e in found]
        counts[np.array(used, int) + 1] = [len(n) for n in numbers]
        pieces.append(np.fromiter(chain.from_iterable(numbers), np.int32))
        asked = [k for k, i in enumerate(used) if UNK in ids[offsets[i] : offsets[i + 1]] and UNK in numbers[k]]
        unknown = [vocabulary.unknown_pieces(given[k], found[k]) for k in asked]
        wanted = [corpus.text(used[k]) for k in asked]
        for k, text, e, known in zip(asked, wanted, vocabulary.encodings(wanted), unknown, strict=True):
            own = vocabulary.unknown_pieces(text, e)
            for position, place in places(own, known, vocabulary.gap, limit - 1).items():
                copied[offsets[used[k]] + position] = place
    every, starts = np.concatenate(pieces), counts.cumsum()
    usable = np.ones(len(corpus), bool)
    usable[list(bad)] = False
    longest = int(np.diff(starts)[rows].max(initial=0))
    return Sources(
        every,
        starts,
        copied,
        min(limit, 1 + max(1, longest)),
        limit,
        np.diff(starts)[usable],
        int((ids == UNK).sum()),
        float((every == UNK).mean()) if len(every) else 0.0,
    )


def places(wanted: Mapping[int, str], known: Mapping[int, str], gap: str, most: int) -> dict[int, int]:
    """Where the wanted words first stand among the first ``most`` known ones, by position: the same piece, else the same word.

    A word is the same with and without the space before it (``gap``).
    """
    exact, loose = dict[str, int](), dict[str, int]()
    for position, piece in known.items():
        if position < most:
            exact.setdefault(piece, position)
            loose.setdefault(_bare(piece, gap), position)
    found = {position: exact.get(piece, loose.get(_bare(piece, gap), -1)) for position, piece in wanted.items()}
    return {position: place for position, place in found.items() if place >= 0}


def _bare(piece: str, gap: str) -> str:
    return piece.removeprefix(gap) if gap else piece
