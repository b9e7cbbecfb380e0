"""What a program without Python needs to read a text as a model does: tables of numbers, abbreviations, symbols and pronunciations."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from polygan import ConfigError, decode_text

from .normalising import spoken, tables
from .phonemes import LENGTHS, STRESSES, phonemizer_of
from .spelling import tables_of
from .symbols import LIKE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from .languages import Languages
    from .spelling import Spelling

MARKS = ';:,.!?¡¿—…"«»“”(){}[]'
"""Punctuation that stays as it is between phonemes; the library phonemizer has the same."""
WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
"""A word of a text that `spoken` gave, with the apostrophes and hyphens within it."""
_MOST_WORDS = 500_000
_AT_ONCE = 2_000  # words that espeak-ng is given between two looks at what it gave


def reading_facts(
    spelling: Spelling, languages: Languages, info: Mapping[str, Any], more: Path | None
) -> dict[str, Any]:
    """How texts become numbers, as JSON: the steps of `spoken`, `sentences` and `Spelling.encode` in tables.

    ``kind``: characters or phonemes. ``symbols`` with their numbers ``ids``, and the
    signs that are ``like`` others. ``languages``: of each its ``name``, what
    `normalising.tables` says, and with phonemes ``pronunciations``: the IPA of words. These are the words of the training transcripts
    ``info`` (`spelling_facts`), of numbers and abbreviations, and of the file ``more`` with a word a line. A word has the IPA that it
    has most often in a transcript; alone it might sound otherwise (a, the).

    ConfigError where espeak-ng is missing, and for a file of words where nothing is pronounced.
    """
    phonemes = spelling.kind == "phonemes"
    if more is not None and not phonemes:
        raise ConfigError("words = ...: this model reads characters, which need no pronunciations; leave --words out")
    symbols = spelling.alphabet.symbols
    found: dict[str, Any] = {"kind": spelling.kind, "symbols": symbols, "languages": []}
    if phonemes:
        found |= {"stresses": STRESSES, "lengths": LENGTHS, "marks": MARKS}
    else:
        found |= {"ids": [spelling.alphabet.encode(symbol)[0] for symbol in symbols], "like": LIKE}
    extra = [] if more is None else words_of(more)
    for language, transcripts in zip(languages.known, tables_of(info, languages.known), strict=True):
        known = tables(language)
        own = {"pronunciations": pronunciations(language, transcripts, [*_said(known), *extra])} if phonemes else {}
        found["languages"].append({"name": language, **known, **own})
    return found


def pronunciations(language: str, transcripts: Mapping[str, str], more: Iterable[str]) -> dict[str, str]:
    """The IPA of each word: of transcripts with their IPA the most frequent one, of all others what espeak-ng says of the word alone."""
    heard: defaultdict[str, Counter[str]] = defaultdict(Counter)
    alone: dict[str, None] = {}
    for text, ipa in transcripts.items():
        words, sounds = spoken(text, language).split(), ipa.split()
        bare = [_bare(word) for word in words]
        if len(words) == len(sounds) and all(bare):  # espeak-ng joins some words, and these transcripts tell nothing
            for word, sound in zip(bare, sounds, strict=True):
                heard[word][sound.strip(MARKS)] += 1
        alone |= dict.fromkeys(word for word in bare if word)
    for text in more:
        alone |= dict.fromkeys(WORD.findall(spoken(text, language)))
    found = {word: counts.most_common(1)[0][0] for word, counts in heard.items()}
    missing = [word for word in alone if word not in found]
    if missing:
        say = phonemizer_of(language)
        for begin in range(0, len(missing), _AT_ONCE):
            part = missing[begin : begin + _AT_ONCE]
            found |= {word: sound for word, sound in zip(part, say(part), strict=True) if sound}
    return dict(sorted((word, sound) for word, sound in found.items() if sound))


def words_of(path: Path) -> list[str]:
    """The words of a file, one a line. ConfigError for a file that cannot be read, is no UTF-8, or has too many."""
    try:
        lines = decode_text(path.read_bytes(), path).split("\n")
    except OSError as error:
        raise ConfigError(f"words = {path}: {error.strerror}; name a file with a word a line") from None
    words = [line.strip() for line in lines if line.strip()]
    if len(words) > _MOST_WORDS:
        raise ConfigError(f"words = {path} has {len(words):,} lines, and {_MOST_WORDS:,} are taken at most; shorten it")
    return words


def _bare(word: str) -> str:
    """A word without the punctuation around it; empty where more than one word is left, or none."""
    found = WORD.findall(word)
    return found[0] if len(found) == 1 and word.strip(MARKS + "'") == found[0] else ""


def _said(known: Mapping[str, Any]) -> Sequence[str]:
    """The texts in a language's tables that stand for something else."""
    numbers = (text for name in ("numbers", "years", "ordinals") for text in known[name])
    return [*numbers, *known["signs"].values(), *known["abbreviations"].values(), known["minus"]]
