"""Phonemes: texts in the International Phonetic Alphabet by espeak-ng, and their numbers in three parts."""

from __future__ import annotations

import logging
from collections import Counter
from functools import cached_property, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from polygan import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

STRESSES = "ˈˌ"
"""Main and secondary stress, which stand before the phoneme that they belong to."""
LENGTHS = "ːˑ"
"""Long and half long, which stand behind the phoneme that they belong to."""
PARTS = (1 + len(STRESSES)) * (1 + len(LENGTHS))
"""How many numbers a base symbol has: one for each stress and each length."""


class PhonemeAlphabet:
    """Base symbols of IPA and punctuation. The number of a phoneme is base * 9 + stress * 3 + length, base from 1 on; 0 pads."""

    def __init__(self, symbols: str) -> None:
        """``symbols``: the base symbols, each once."""
        self.symbols = symbols
        self._bases = {symbol: i for i, symbol in enumerate(symbols, 1)}

    def __len__(self) -> int:
        """How many numbers there are, with those of the padding."""
        return (len(self.symbols) + 1) * PARTS

    def encode(self, text: str) -> list[int]:
        """The numbers of IPA. Symbols outside the alphabet are left out."""
        found: list[int] = []
        stress = 0
        for symbol in text:
            if symbol in STRESSES:
                stress = 1 + STRESSES.index(symbol)
            elif symbol in LENGTHS:
                if found and found[-1] % 3 == 0:
                    found[-1] += 1 + LENGTHS.index(symbol)
            elif base := self._bases.get(symbol, 0):
                found.append(base * PARTS + stress * 3)
                stress = 0
        return found

    def outside(self, text: str) -> Counter[str]:
        """The symbols of IPA that have no number, and how often each occurs."""
        marks = STRESSES + LENGTHS
        return Counter(c for c in text if c not in self._bases and c not in marks and not c.isspace())


def base_symbols(texts: Sequence[str]) -> str:
    """The base symbols of texts in IPA, sorted."""
    return "".join(sorted({symbol for text in texts for symbol in text} - {*STRESSES, *LENGTHS}))


class Phonemizer:
    """Texts of one language in IPA, with stress, length and punctuation."""

    def __init__(self, language: str) -> None:
        """``language``: an espeak-ng voice (en-us, it). ConfigError where the packages or the voice are missing."""
        self.language = {"en": "en-us", "pt_BR": "pt-br", "fr": "fr-fr"}.get(language, language.replace("_", "-").lower())
        self.backend  # noqa: B018 - what is missing is an error now

    @cached_property
    def backend(self) -> Any:
        """The library's object."""
        loader, wrapper, espeak = (
            _need(name) for name in ("espeakng_loader", "phonemizer.backend.espeak.wrapper", "phonemizer.backend.espeak.espeak")
        )
        wrapper.EspeakWrapper.set_library(loader.get_library_path())
        wrapper.EspeakWrapper.set_data_path(loader.get_data_path())
        known = espeak.EspeakBackend.supported_languages()
        if self.language not in known:
            raise ConfigError(
                f"model.language = {self.language!r}: espeak-ng has no voice of this language; use --model.symbols characters, or one "
                f"of {', '.join(sorted(known)[:60])}, ..."
            )
        quiet = logging.getLogger("polygan.phonemizer")
        quiet.setLevel(logging.ERROR)
        return espeak.EspeakBackend(
            self.language, preserve_punctuation=True, with_stress=True, language_switch="remove-flags", logger=quiet
        )

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """The IPA of each text."""
        return [" ".join(self._phonemes(text).split()) for text in texts]

    def _phonemes(self, text: str) -> str:
        found = self.backend.phonemize([text], strip=True) if text.strip() else []
        return found[0] if found else ""


@lru_cache(maxsize=4)
def phonemizer_of(language: str) -> Phonemizer:
    """The phonemizer of a language, kept: starting espeak-ng takes longer than a sentence."""
    return Phonemizer(language)


def _need(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"model.symbols = phonemes needs the package {error.name or name}: pip install 'polygan-speech[phonemes]', or use "
            "--model.symbols characters"
        ) from None
