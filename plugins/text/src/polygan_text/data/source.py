"""The source of text: rows of files as token ids, by a tokenizer of the training split or a tokenizer of the user's."""

from __future__ import annotations

import hashlib
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from polygan import DataError, Fact, Field, LeftOut, Source, split_rows

from .facts import EOS, START, UNK
from .receipt import Measured, receipt
from .sources import encode_sources
from .tokenizing import tokenizer_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .corpus import Corpus
    from .facts import TextInfo
    from .settings import TextSettings
    from .sources import Sources
    from .tokenizing import Cut
    from .vocabulary import Vocabulary

VERSION = 3  # of what `decode` returns for the same file and settings
_PAIRS = 1  # the same of what texts are made from
_BATCH = 10_000  # rows that are encoded at a time


class TextSource(Source):
    """Rows as token ids int32 (L,), padded with the end token; a row that is cut has none. A tokenizer that is trained has seen the training split alone."""

    def __init__(self, corpus: Corpus, settings: TextSettings, files: str) -> None:
        """``files`` is a key of the files' state."""
        self.corpus, self.settings = corpus, settings
        self.bad = {i: why for i in range(len(corpus)) if (why := _unreadable(corpus, i))}
        """Why rows cannot be used."""
        self.held_out = np.zeros(len(corpus), np.uint8)
        """(n,) 1 for held-out rows."""
        if corpus.first_test is None:
            self.held_out[split_rows(len(corpus), settings.held_out)["held_out"]] = 1
        else:
            self.held_out[corpus.first_test :] = 1
        self._check_sides("holds no text, only empty lines; name another file or folder", np.ones(len(corpus), bool))
        self._check_bad()
        cut = tokenizer_for(settings, self._seen)
        self._ids, self._offsets = _encode(cut.vocabulary, corpus, self.bad)
        self.measured = self._measure(cut)
        self.sources = self._find_sources(cut.vocabulary)
        self.left_out = [*corpus.left_out, *_dropped(self.measured, self._offsets)]
        self.rows, length = self.measured.rows, self.measured.length
        self.fields = {"tokens": Field("int32", (length,)), "held_out": Field("uint8", ())}
        if corpus.labels is not None:
            self.fields["label"] = Field("int64", ())
        if self.sources is not None:
            self.fields["given"], self.fields["copied"] = (
                Field("int32", (self.sources.length,)),
                Field("int32", (length,)),
            )
            self.fields["given_text"] = Field("uint8", (None,))
        long = self.measured.long
        info: TextInfo = {
            "vocabulary": cut.vocabulary.size,
            "length": length,
            "start": START,
            "eos": EOS,
            "classes": list(corpus.classes),
            "tokenizer": cut.vocabulary.text,
            "too_long": f"{long} {'dropped' if settings.too_long == 'drop' and long else 'cut'}",
            "unknown": round(float((self._ids == UNK).mean()) if len(self._ids) else 0.0, 6),
            "unknown_held_out": round(self.measured.unknown[1], 6),
        }
        if self.sources is not None:
            info["given_length"] = self.sources.length
        self.info = {**info}
        s = settings
        facts = (
            VERSION,
            files,
            cut.key,
            s.vocabulary,
            s.min_count,
            self.measured.limit,
            s.too_long,
            s.column,
            s.label_column,
        )
        pairs = (_PAIRS, s.given, s.given_length) if self.sources is not None else ()
        if s.documents != "line":
            pairs = (*pairs, "documents", s.documents)
        self._key = hashlib.blake2b(repr((*facts, s.held_out, *pairs)).encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def fingerprint(self) -> str:
        """A key of the files, the settings and the split that the tokenizer was trained on."""
        return self._key

    def name(self, index: int) -> str:
        """The file and the line."""
        return self.corpus.name(int(self.rows[index]))

    def describe(self) -> Sequence[Fact]:
        """Rows, lengths, the tokenizer, unknown tokens, classes, repeats, and advice."""
        return receipt(self.measured, self.sources)

    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """The tokens of one row. A text that is cut has no end token: nothing teaches that it ends there."""
        row = int(self.rows[index])
        if row in self.bad:
            raise DataError(self.bad[row])
        length = self.info["length"]
        ids = self._ids[self._offsets[row] : self._offsets[row + 1]][:length]
        tokens = np.full(length, EOS, np.int32)
        tokens[: len(ids)] = ids
        arrays = {"tokens": tokens, "held_out": self.held_out[row]}
        if self.corpus.labels is not None:
            arrays["label"] = self.corpus.labels[row]
        if self.sources is not None:
            arrays |= self._pair(row, length)
        return arrays

    def _pair(self, row: int, length: int) -> dict[str, np.ndarray]:
        """What a row's text is made from, and where the text's unknown words stand there."""
        assert self.sources is not None
        copied = np.full(length, -1, np.int32)
        found = self.sources.copied[self._offsets[row] : self._offsets[row + 1]][:length]
        copied[: len(found)] = found
        text = bytearray(self.corpus.given_text(row).encode())
        return {"given": self.sources.row(row), "copied": copied, "given_text": np.frombuffer(text, np.uint8)}

    def _find_sources(self, vocabulary: Vocabulary) -> Sources | None:
        """What the texts are made from, as tokens; None where they are made from nothing."""
        if self.corpus.given is None:
            return None
        texts = self._ids, self._offsets
        limit = self.settings.given_length
        return encode_sources(vocabulary, self.corpus, self.bad, texts, self.measured.rows, limit)

    def _sides(self) -> list[tuple[str, np.ndarray]]:
        """What a user calls the training rows and the test rows, and which rows these are."""
        if self.corpus.first_test is None:
            return [(f"data {self.settings.source!r}", np.ones(len(self.corpus), bool))]
        test = self.held_out > 0
        return [(f"data {self.settings.source!r}", ~test), (f"data.test = {self.settings.test!r}", test)]

    def _check_sides(self, problem: str, rows: np.ndarray) -> None:
        """Raise DataError, with the ``problem``, for a side that has none of the rows (n,)."""
        for name, side in self._sides():
            if not (side & rows).any():
                raise DataError(f"{name} {problem}")

    def _check_bad(self) -> None:
        """Raise DataError for a side with too many rows that cannot be used, so that no side is blamed for the other."""
        for name, side in self._sides():
            bad = [i for i in self.bad if side[i]]
            if len(bad) > self.settings.max_bad * side.sum() or len(bad) == side.sum():
                shown = "; ".join(f"{self.corpus.name(i)}: {self.bad[i]}" for i in bad[:3])
                raise DataError(
                    f"{len(bad)} of {side.sum()} texts of {name} cannot be read, more than data.max_bad = {self.settings.max_bad:g} "
                    f"allows ({shown}); repair them or raise --data.max_bad"
                )

    def _seen(self) -> Iterator[str]:
        """The training texts, each with what it is made from."""
        for i in range(len(self.corpus)):
            if not self.held_out[i] and i not in self.bad:
                yield self.corpus.text(i)
                if self.corpus.given is not None:
                    yield self.corpus.given_text(i)

    def _measure(self, cut: Cut) -> Measured:
        """Find the rows that are kept, their lengths, and the share of unknown tokens of both splits."""
        used = np.ones(len(self.corpus), bool)
        used[list(self.bad)] = False
        lengths, limit = np.diff(self._offsets), self.settings.max_length or 64
        kept = lengths < limit if self.settings.too_long == "drop" else np.ones(len(lengths), bool)
        self._check_sides(
            f"has only texts of more than {limit - 1} tokens; raise --data.max_length or use --data.too_long cut", kept
        )
        rows = np.flatnonzero(kept)
        length = min(limit, 1 + max(1, int(lengths[rows].max())))
        side, unknown = np.repeat(self.held_out, lengths) > 0, self._ids == UNK
        train, held_out = (float(unknown[s].mean()) if s.any() else 0.0 for s in (~side, side))
        return Measured(
            self.corpus,
            self.settings,
            cut,
            self.bad,
            self.held_out,
            rows,
            lengths[used],
            limit,
            length,
            (train, held_out),
        )


def _dropped(measured: Measured, offsets: np.ndarray) -> list[LeftOut]:
    """The rows that are too long, if these are dropped."""
    if measured.settings.too_long != "drop" or not measured.long:
        return []
    most = measured.limit - 1
    first = measured.corpus.name(int(np.flatnonzero(np.diff(offsets) > most)[0]))
    return [LeftOut(measured.long, f"texts of more than {most} tokens", "--data.too_long is drop", first)]


def _encode(vocabulary: Vocabulary, corpus: Corpus, bad: Mapping[int, str]) -> tuple[np.ndarray, np.ndarray]:
    """The ids of all rows one after the other (int32), and where each row begins (rows + 1,); unreadable rows have no ids."""
    pieces, counts = [np.zeros(0, np.int32)], np.zeros(len(corpus) + 1, np.int64)
    for begin in range(0, len(corpus), _BATCH):
        rows = [i for i in range(begin, min(begin + _BATCH, len(corpus))) if i not in bad]
        found = vocabulary.encode([corpus.text(i) for i in rows])
        counts[np.array(rows, int) + 1] = [len(ids) for ids in found]
        pieces.append(np.fromiter(chain.from_iterable(found), np.int32))
    return np.concatenate(pieces), counts.cumsum()


def _unreadable(corpus: Corpus, index: int) -> str:
    try:
        corpus.text(index)
        if corpus.given is not None:
            corpus.given_text(index)
    except DataError as error:
        return str(error)
    return ""
