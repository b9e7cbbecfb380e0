"""From texts to the numbers that networks take: characters or phonemes, of strings and of batches of transcripts."""

from __future__ import annotations

import logging
from copy import copy
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError

from ..formats.arpabet import NVIDIA, with_arpabet
from .normalising import check_language, spoken
from .phonemes import PhonemeAlphabet, base_symbols, phonemizer_of
from .symbols import Alphabet, numbers_of_bytes

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

_LOGGER = logging.getLogger("polygan")
_HASHED = 4096  # bytes of a transcript that tell it from others
Kind = Literal["characters", "phonemes"]


class Spelling:
    """How a model reads text: the language's numbers in words, then characters or phonemes, then numbers of an alphabet."""

    def __init__(self, kind: Kind, language: str, info: Mapping[str, Any]) -> None:
        """``info``: ``symbols`` of the training split, and for imported models their numbers (`Alphabet.of_info`)."""
        check_language(language)
        self.kind, self.language = kind, language
        phonemes = kind == "phonemes"
        self.alphabet = PhonemeAlphabet(str(info.get("symbols", ""))) if phonemes else Alphabet.of_info(info)
        self._said: set[str] = set()

    def of(self, language: str) -> Spelling:
        """The same alphabet, read in another language."""
        other = copy(self)
        other.language = language
        return other

    def written(self, text: str) -> str:
        """A text as it is spoken: numbers in words, small letters. Phonemes come later, sentence by sentence.

        Imported models that know ARPAbet take ARPAbet in braces: {HH AH0 L OW1}.
        """
        return spoken(with_arpabet(text) if NVIDIA[-1] in self.alphabet.symbols else text, self.language)

    def symbols_of(self, text: str) -> str:
        """What the alphabet takes of a text that `written` gave: the same characters, or IPA."""
        return phonemizer_of(self.language)([text])[0] if self.kind == "phonemes" else text

    def encode(self, text: str) -> list[int]:
        """The numbers of a text that `written` gave. A warning counts characters outside the alphabet, once for each."""
        symbols = self.symbols_of(text)
        self._say_outside(self.alphabet.outside(symbols))
        return self.alphabet.encode(symbols)

    def _say_outside(self, found: Counter[str]) -> None:
        new = {c: n for c, n in found.items() if c not in self._said}
        if new:
            self._said |= new.keys()
            shown = ", ".join(f"{c!r} ({n:,})" for c, n in list(new.items())[:12])
            total = sum(new.values())
            count = "1 character" if total == 1 else f"{total:,} characters"
            _LOGGER.warning("left out: %s that the model does not know: %s", count, shown)

    def refuse(self, text: str) -> ConfigError:
        """The error for a text of which nothing is left."""
        known = self.alphabet.symbols.strip()
        return ConfigError(
            f"nothing can be spoken of {text[:40]!r}: the model knows {known[:80]!r}; write the text in the script that the model was "
            "trained on"
        )


def spelling_facts(kind: Kind, texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Facts of the transcripts of a training split, ``texts`` by language: ``symbols``, and how transcripts are read.

    ``spoken``: how each transcript is read; with several languages ``spoken_in`` has such a table for each of them. Batches hold
    transcripts as bytes, and a step reads no value: numbers in words and phonemes are therefore found once, here. The
    tables have only transcripts that `Alphabet.of_bytes` would read otherwise; of phonemes they have all of them.
    """
    tables = {language: _read(kind, language, given) for language, given in texts.items()}
    said = [text for table in tables.values() for text in table.values()]
    if kind == "phonemes":
        symbols = base_symbols(said)
    else:
        symbols = "".join(sorted({c for text in said for c in text}))
        encode = Alphabet(symbols).encode
        tables = {name: {a: b for a, b in pairs.items() if encode(a) != encode(b)} for name, pairs in tables.items()}
    several = len(tables) > 1
    return {"symbols": symbols, **({"spoken_in": tables} if several else {"spoken": next(iter(tables.values()))})}


def _read(kind: Kind, language: str, texts: Sequence[str]) -> dict[str, str]:
    """Each transcript, with its numbers in words, or in IPA."""
    check_language(language)
    distinct = sorted({text for text in texts if text.strip()})
    written = [spoken(text, language) for text in distinct]
    return dict(zip(distinct, phonemizer_of(language)(written) if kind == "phonemes" else written, strict=True))


def tables_of(info: Mapping[str, Any], languages: Sequence[str]) -> list[Mapping[str, str]]:
    """How transcripts are read, from the facts of a training split: a table for each language."""
    if len(languages) < 2:
        return [info.get("spoken", {})]
    tables = info.get("spoken_in", {})
    return [tables.get(language, {}) for language in languages]


class Transcripts(nn.Module):
    """Batches of transcripts, UTF-8 bytes, to the numbers of an alphabet, each in its speaker's language. No value is read."""

    characters: Tensor
    weights: Tensor
    keys: Tensor
    rows: Tensor
    counts: Tensor
    of_speakers: Tensor

    def __init__(
        self,
        alphabet: Alphabet | PhonemeAlphabet,
        tables: Sequence[Mapping[str, str]],
        of_speakers: Sequence[int] = (0,),
    ) -> None:
        """``tables``: for each language, transcripts that are read as the text beside them; others are read by character.

        ``of_speakers``: the number of each speaker's language, where there are several.
        """
        super().__init__()
        table = alphabet.table if isinstance(alphabet, Alphabet) else torch.zeros(1, dtype=torch.int64)
        random = np.random.Generator(np.random.Philox(key=28))
        weights = random.integers(-(2**62), 2**62, _HASHED + 1) * 2 + 1  # the last one is the language's
        read = [(n, text.encode(), said) for n, table in enumerate(tables) for text, said in table.items()]
        pairs = [(text, alphabet.encode(said)) for _, text, said in read]
        hashed = np.array([_hash(text, number, weights) for number, text, _ in read], np.int64)
        order = np.argsort(hashed)
        rows = np.zeros((len(pairs), max((len(ids) for _, ids in pairs), default=0)), np.int32)
        for i, place in enumerate(order.tolist()):
            ids = pairs[place][1]
            rows[i, : len(ids)] = ids
        counts = np.array([len(pairs[place][1]) for place in order.tolist()], np.int64)
        speakers = np.array(of_speakers, np.int64)
        arrays = {
            "weights": weights,
            "keys": hashed[order],
            "rows": rows,
            "counts": counts,
            "of_speakers": speakers,
        }
        for name, value in {"characters": table, **{n: torch.from_numpy(a) for n, a in arrays.items()}}.items():
            self.register_buffer(name, value, persistent=False)
        self.longer = max((len(ids) - len(text) for text, ids in pairs), default=0)
        """How many numbers a transcript may have beyond its bytes."""
        self.languages = len(tables)

    def language(self, speaker: Tensor | None) -> Tensor | None:
        """The number (B,) of each speaker's (B,) language; None: there is one language."""
        return None if self.languages < 2 or speaker is None else self.of_speakers[speaker]

    def forward(self, text: Tensor, length: Tensor, language: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Bytes (B, L) uint8, zeros behind ``length`` (B,), to numbers (B, S) int64, zeros behind, and their lengths (B,).

        ``language`` (B,): numbers of languages, as `language` gives them.
        """
        found, lengths = numbers_of_bytes(self.characters, text, length)
        size = max(1, text.shape[1] + max(0, self.longer))
        found = F.pad(found, (0, size - found.shape[1]))
        if not len(self.keys):
            return found, lengths
        shown = text[:, :_HASHED].long()
        hashed = (shown * self.weights[: shown.shape[1]]).sum(1)  # whole numbers modulo 2^64
        if language is not None:
            hashed = hashed + language * self.weights[-1]
        place = torch.searchsorted(self.keys, hashed).clamp(max=len(self.keys) - 1)
        known = self.keys[place] == hashed
        rows = F.pad(self.rows, (0, max(0, size - self.rows.shape[1])))[place, :size].long()
        return torch.where(known[:, None], rows, found), torch.where(known, self.counts[place], lengths)


def _hash(text: bytes, language: int, weights: np.ndarray) -> int:
    """A number of a transcript's bytes and language: their products with fixed random weights, summed modulo 2^64."""
    shown = np.frombuffer(text[:_HASHED], np.uint8).astype(np.int64)
    with np.errstate(over="ignore"):
        return int((shown * weights[: len(shown)]).sum() + np.int64(language) * weights[-1])
