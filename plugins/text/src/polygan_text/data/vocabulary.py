"""From texts to token numbers and back, by a run's own tokenizer or by a tokenizer of other programs."""

from __future__ import annotations

import json
import unicodedata
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer

from polygan import ConfigError, DataError

from .facts import EOS, OPEN, SPECIAL, START, UNK
from .gaps import fitted, gap_of, opens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tokenizers import Encoding
    from torch import Tensor

    from .facts import TextInfo

_LOSSY = ("ByteLevel", "ByteFallback")
"""Decoders that join bytes to characters."""
_SPREAD = 2  # how many numbers a tokenizer may use for each of its tokens


class Vocabulary:
    """A tokenizer's tokens as polygan numbers them: `SPECIAL` first.

    A tokenizer whose first tokens are not `SPECIAL` keeps its own order behind them. Special tokens of a tokenizer stand for
    nothing in a text: ``<s>`` in a text is text.
    """

    def __init__(self, text: str) -> None:
        """``text``: JSON of the library `tokenizers`. Raises DataError where the library cannot read the JSON."""
        try:
            self.tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the library raises nothing narrower
            raise DataError(
                f"is no tokenizer that the library `tokenizers` reads ({error}); name another file"
            ) from None
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = True
        vocabulary = self.tokenizer.get_vocab()
        own = all(vocabulary.get(token) == i for i, token in enumerate(SPECIAL))
        self.shift = 0 if own else len(SPECIAL)
        """What is added to the tokenizer's numbers."""
        self.size = self.shift + 1 + max(vocabulary.values(), default=-1)
        if self.size > _SPREAD * len(vocabulary) + 1000:  # each gap would cost time and memory
            raise DataError(f"numbers {len(vocabulary):,} tokens up to {self.size:,}; name a tokenizer without gaps")
        self.text = self.tokenizer.to_str()
        """The tokenizer as JSON."""
        facts = json.loads(self.text)
        self.bytes = _joins_bytes(facts.get("decoder"))
        """Whether tokens may be parts of a character."""
        self.unknown = _unknown(facts["model"], vocabulary)
        """What the tokenizer itself calls what it does not know; None if it knows every text."""
        self.gap = gap_of(facts.get("decoder"))
        """What stands for the space before a word; empty where spaces are tokens, or belong to no token."""
        # An unknown word is then one token, and its space is lost.
        self._words = facts["model"]["type"] == "WordLevel" and bool(self.gap)
        self._names = {i: token for token, i in vocabulary.items()}
        self._hidden = {i for i, token in self.tokenizer.get_added_tokens_decoder().items() if token.special}

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of each text's tokens."""
        with _cutting():
            found = [e.ids for e in self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        return [self.numbers(ids) for ids in found]

    def encodings(self, texts: Sequence[str]) -> list[Encoding]:
        """Each text's tokens with their places, slower than `encode`. The tokenizer's own numbers stay."""
        with _cutting():
            return self.tokenizer.encode_batch(list(texts), add_special_tokens=False)

    def numbers(self, ids: list[int]) -> list[int]:
        """What `encode` gives for the tokenizer's own numbers of a text's tokens."""
        if not self.shift:
            return ids
        return [UNK if i == self.unknown else i + self.shift for i in ids]

    def pieces(self, text: str, encoding: Encoding) -> list[str]:
        """Each token of a text as the tokenizer's decoder takes it; an unknown one as the text has it."""
        if self.unknown is None or self.unknown not in encoding.ids:
            return encoding.tokens
        unknown = self.unknown_pieces(text, encoding)
        return [unknown.get(i, token) for i, token in enumerate(encoding.tokens)]

    def unknown_pieces(self, text: str, encoding: Encoding) -> dict[int, str]:
        """The unknown tokens of a text by their positions, as the text has them, with `gap` for a space before."""
        found = dict[int, str]()
        places = encoding.offsets
        for position, token in enumerate(encoding.ids):
            if token == self.unknown:
                begin, end = places[position]
                shown = text[begin:end]
                spaced = self.gap and (shown[:1].isspace() or not position)
                found[position] = f"{self.gap}{shown.strip()}" if spaced else shown
        return found

    def decode(self, rows: Sequence[Sequence[int]], pieces: Sequence[Sequence[str]] | None = None) -> list[str]:
        """The text of each row of numbers. With ``pieces`` (of each row's source), the number ``size`` + j is piece j.

        Tokens that stand for nothing are left out. A tokenizer of bytes also leaves out bytes that form no character, control
        characters and the replacement character, because a policy that has learned little writes any bytes.
        """
        if pieces is None:
            marked = [self._words and UNK in row for row in rows]
        else:
            marked = [(self._words and UNK in row) or max(row, default=0) >= self.size for row in rows]
        plain = [row for row, special in zip(rows, marked, strict=True) if not special]
        found = iter(self.tokenizer.decode_batch([self._own(row) for row in plain], skip_special_tokens=False))
        shown = [
            self._joined(row, pieces[i] if pieces is not None else ()) if special else next(found)
            for i, (row, special) in enumerate(zip(rows, marked, strict=True))
        ]
        return [_printable(text) for text in shown] if self.bytes else shown

    def names(self) -> list[str]:
        """What the tokenizer calls each token, by its number; empty for numbers without a token."""
        own = [self._names.get(i, "") for i in range(self.size - self.shift)]
        return [*SPECIAL, *own] if self.shift else own

    def _joined(self, row: Sequence[int], pieces: Sequence[str]) -> str:
        """The text of a row with unknown words or pieces of a source, each with the space that belongs before it."""
        words = list[str]()
        for token in row:
            last = words[-1] if words else ""
            if token == UNK and self._words:
                words.append(SPECIAL[UNK] if opens(last, self.gap) else self.gap + SPECIAL[UNK])
            elif token >= self.size:
                piece = pieces[token - self.size] if token - self.size < len(pieces) else ""
                words += [fitted(piece, last, self.gap) if self._words else piece]
            else:
                words += [self._names[i] for i in self._own([token]) if i in self._names]
        decoder = self.tokenizer.decoder
        return " ".join(words) if decoder is None else decoder.decode(words)

    def _own(self, row: Sequence[int]) -> list[int]:
        """The tokenizer's numbers of a row, without tokens that stand for nothing."""
        unknown = None if self.bytes else self.unknown
        found = (unknown if i == UNK else i - self.shift for i in row if i not in (START, EOS))
        return [i for i in found if i is not None and i >= 0 and (i == unknown or i not in self._hidden)]

    def unknown_in(self, text: str) -> list[str]:
        """The words of a text that have no token of their own."""
        found = self.tokenizer.encode(text, add_special_tokens=False)
        places = zip(found.ids, found.tokens, found.offsets, strict=True)
        return [text[b:e].strip() or token for i, token, (b, e) in places if i == self.unknown]


@contextmanager
def _cutting() -> Iterator[None]:
    """Name the remedy where a tokenizer has no token for unknown words."""
    try:
        yield
    except Exception as error:  # the library raises nothing narrower
        raise DataError(f"the tokenizer cannot cut this text ({error}); name another tokenizer") from None


def _joins_bytes(decoder: Mapping[str, object] | None) -> bool:
    """Whether a decoder, or a part of one, joins bytes."""
    if not decoder:
        return False
    parts = decoder.get("decoders")
    return decoder.get("type") in _LOSSY or (isinstance(parts, list) and any(map(_joins_bytes, parts)))


def _unknown(model: Mapping[str, object], vocabulary: Mapping[str, int]) -> int | None:
    """The number that a tokenizer gives to what it does not know; None if it knows every text."""
    if isinstance(found := model.get("unk_id"), int):
        return found
    return vocabulary.get(str(model.get("unk_token")))


def _printable(text: str) -> str:
    """A text without replacement characters and control characters other than tabs and breaks."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c for c in text if c != "\ufffd" and (c in "\t\n\r" or unicodedata.category(c) != "Cc"))


@lru_cache(maxsize=4)
def load_vocabulary(text: str) -> Vocabulary:
    """The vocabulary of a run, from the JSON of its tokenizer."""
    try:
        return Vocabulary(text)
    except DataError as error:
        raise DataError(f"the tokenizer in the run's data.json {error}") from None


def decode(tokens: Tensor, info: TextInfo, pieces: Sequence[Sequence[str]] | None = None) -> list[str]:
    """Texts of tokens (n, L), up to the end token; ids with spaces between if the data has no tokenizer.

    With ``pieces``, as `encode_given` returns them, the token ``vocabulary`` + j is piece j of the row's source.
    """
    rows = tokens.tolist()
    eos = info["eos"]
    if eos is not None:
        rows = [row[: row.index(eos)] if eos in row else row for row in rows]
    if "tokenizer" not in info:
        return [" ".join(map(str, row)) for row in rows]
    return load_vocabulary(info["tokenizer"]).decode(rows, pieces)


def characters(tokens: Tensor, info: TextInfo) -> list[int]:
    """How many characters the known tokens of each text (n, L) have; empty if tokens are only numbers."""
    if "tokenizer" not in info:
        return []
    return list(map(len, decode(torch.where(tokens == UNK, START, tokens), info)))


def encode_prefix(text: str, info: TextInfo, name: str = "prefix") -> list[int]:
    """The tokens of a beginning. Raises ConfigError, with its ``name``, if the beginning is too long or has unknown words."""
    if not text.strip():
        return []
    where = f"{name} {text!r}"
    if "tokenizer" not in info:
        words = text.split()
        if not all(w.isdecimal() and int(w) < info["vocabulary"] for w in words):
            raise ConfigError(f"{where}: this data has no words, only numbers below {info['vocabulary']}; use numbers")
        ids = [int(w) for w in words]
    else:
        vocabulary = load_vocabulary(info["tokenizer"])
        (ids,) = vocabulary.encode([text])
        if UNK in ids:
            unknown = vocabulary.unknown_in(text)
            raise ConfigError(
                f"{where}: {', '.join(map(repr, unknown[:5]))} {'is' if len(unknown) == 1 else 'are'} not in the vocabulary "
                f"of {info['vocabulary']} tokens ({SPECIAL[UNK]}); use words of the training data"
            )
    if len(ids) >= info["length"]:
        raise ConfigError(
            f"{where} has {len(ids)} tokens, and a text of this run has at most {info['length']}; shorten the beginning"
        )
    return ids


def encode_prefixes(texts: Sequence[str], names: Sequence[str], info: TextInfo) -> Tensor:
    """The tokens (n, K) of texts' beginnings, K of the longest; `OPEN` fills the rest. ``names`` are line numbers, or empty."""
    called = [f"line {name}:" for name in names] or ["prefix"] * len(texts)
    rows = [encode_prefix(text, info, name) for text, name in zip(texts, called, strict=True)]
    width = max(map(len, rows), default=0)
    return torch.tensor([row + [OPEN] * (width - len(row)) for row in rows], dtype=torch.long).view(len(rows), width)


def encode_given(texts: Sequence[str], info: TextInfo) -> tuple[Tensor, list[list[str]]]:
    """What texts are made from: tokens (n, S), padded with the end token, and each text's pieces, of which piece j is token j.

    S is ``given_length`` of ``info``. Longer texts are cut to S - 1 tokens. Raises ConfigError for data without pairs.
    """
    if "given_length" not in info or "tokenizer" not in info:
        raise ConfigError("this data has no pairs of texts; name what texts are made from with --data.given")
    vocabulary, most = load_vocabulary(info["tokenizer"]), info["given_length"] - 1
    tokens, pieces = torch.full((len(texts), most + 1), EOS), list[list[str]]()
    for row, (text, found) in enumerate(zip(texts, vocabulary.encodings(texts), strict=True)):
        ids = vocabulary.numbers(found.ids)[:most]
        tokens[row, : len(ids)] = torch.tensor(ids, dtype=torch.long)
        pieces.append(vocabulary.pieces(text, found)[:most])
    return tokens, pieces


def difference(one: Mapping[str, object], other: Mapping[str, object]) -> str:
    """Why the same number means another token in two runs' facts, in one line; empty if it means the same."""
    texts = [info.get("tokenizer") for info in (one, other)]
    if texts[0] == texts[1]:
        sizes = [info.get("vocabulary") for info in (one, other)]
        return "" if sizes[0] == sizes[1] else f"one run has {sizes[0]} tokens and the other {sizes[1]}"
    if not all(isinstance(text, str) for text in texts):
        return "one run's tokens are words or characters and the other's are only numbers; use data of the same kind"
    first, second = (load_vocabulary(str(text)) for text in texts)
    if json.loads(first.text) == json.loads(second.text):
        return ""
    mine, theirs = first.tokenizer.get_vocab(), second.tokenizer.get_vocab()
    same = sum(theirs.get(token) == i for token, i in mine.items() if token not in SPECIAL)
    return (
        f"the tokenizers differ ({same:,} of {len(mine.keys() - set(SPECIAL)):,} tokens have the same number in both runs); "
        "train with the other run's tokenizer: --data.tokenizer RUN, the folder of that run"
    )
