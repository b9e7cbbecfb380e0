"""The source of text: lines of files as token ids, by a tokenizer of the training split."""

from __future__ import annotations

import hashlib
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from polygan import DataError, Field, Source, split_rows

from .tokenizing import EOS, START, UNK, train_tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenizers import Tokenizer

    from .corpus import Corpus
    from .data_settings import TextSettings
    from .facts import TextInfo

_VERSION = 1  # of what `decode` returns for the same file and settings
_BATCH = 10_000  # lines that are encoded at a time


class TextSource(Source):
    """Lines as token ids int32 (L,), padded with the end token. The tokenizer has seen the training split alone."""

    def __init__(self, corpus: Corpus, settings: TextSettings, files: str) -> None:
        """``files`` is a key of the files' state."""
        if not len(corpus):
            raise DataError(
                f"data {settings.source!r} holds no text, only empty lines; name another file or folder with --data"
            )
        self.corpus, self.settings = corpus, settings
        self._bad = {i: why for i in range(len(corpus)) if (why := _unreadable(corpus, i))}
        self._held_out = np.zeros(len(corpus), np.uint8)
        if corpus.first_test is None:
            self._held_out[split_rows(len(corpus), settings.held_out)["held_out"]] = 1
        else:
            self._held_out[corpus.first_test :] = 1
        seen = (corpus.text(i) for i in range(len(corpus)) if not self._held_out[i] and i not in self._bad)
        tokenizer = train_tokenizer(settings.tokenizer, seen, settings.vocabulary, settings.min_count)
        self._ids, self._offsets = _encode(tokenizer, corpus, self._bad)
        lengths = np.diff(self._offsets)
        limit = settings.max_length or 64
        long = lengths >= limit
        drop = long if settings.too_long == "drop" else np.zeros_like(long)
        self._rows = np.flatnonzero(~drop)
        if not len(self._rows):
            raise DataError(
                f"every text of {settings.source!r} has more than {limit - 1} tokens; raise --data.max_length or use "
                "--data.too_long cut"
            )
        length = min(limit, 1 + max(1, int(lengths[self._rows].max())))
        self.fields = {"tokens": Field("int32", (length,)), "held_out": Field("uint8", ())}
        if corpus.labels is not None:
            self.fields["label"] = Field("int64", ())
        info: TextInfo = {
            "vocabulary": tokenizer.get_vocab_size(),
            "length": length,
            "start": START,
            "eos": EOS,
            "classes": list(corpus.classes),
            "tokenizer": tokenizer.to_str(),
            "too_long": f"{int(long.sum())} {'dropped' if drop.any() else 'cut'}",
            "unknown": round(float((self._ids == UNK).mean()) if len(self._ids) else 0.0, 6),
        }
        self.info = {**info}
        s = settings
        facts = (_VERSION, files, s.tokenizer, s.vocabulary, s.min_count, limit, s.too_long, s.column, s.label_column)
        self._key = hashlib.blake2b(repr((*facts, s.held_out)).encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return len(self._rows)

    def fingerprint(self) -> str:
        """A key of the files, the settings and the split that the tokenizer was trained on."""
        return self._key

    def name(self, index: int) -> str:
        """The file and the line."""
        return self.corpus.name(int(self._rows[index]))

    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """The tokens of one line."""
        row = int(self._rows[index])
        if row in self._bad:
            raise DataError(self._bad[row])
        length = self.info["length"]
        ids = self._ids[self._offsets[row] : self._offsets[row + 1]][: length - 1]
        tokens = np.full(length, EOS, np.int32)
        tokens[: len(ids)] = ids
        arrays = {"tokens": tokens, "held_out": self._held_out[row]}
        if self.corpus.labels is not None:
            arrays["label"] = self.corpus.labels[row]
        return arrays


def _encode(tokenizer: Tokenizer, corpus: Corpus, bad: Mapping[int, str]) -> tuple[np.ndarray, np.ndarray]:
    """The ids of all lines one after the other (int32), and where each line begins (lines + 1,); unreadable lines have no ids."""
    pieces, counts = [], np.zeros(len(corpus) + 1, np.int64)
    for begin in range(0, len(corpus), _BATCH):
        rows = [i for i in range(begin, min(begin + _BATCH, len(corpus))) if i not in bad]
        found = [e.ids for e in tokenizer.encode_batch_fast([corpus.text(i) for i in rows])]
        counts[np.array(rows, int) + 1] = [len(ids) for ids in found]
        pieces.append(np.fromiter(chain.from_iterable(found), np.int32))
    return np.concatenate(pieces), counts.cumsum()


def _unreadable(corpus: Corpus, index: int) -> str:
    try:
        corpus.text(index)
    except DataError as error:
        return str(error)
    return ""
