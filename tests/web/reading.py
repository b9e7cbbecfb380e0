"""How polygan_speech reads texts, as a page gets it: of characters, and of phonemes without espeak-ng."""

from __future__ import annotations

import functools

from polygan_speech.text.languages import Languages
from polygan_speech.text.normalising import tables
from polygan_speech.text.phonemes import LENGTHS, STRESSES
from polygan_speech.text.reading import MARKS, reading_facts
from polygan_speech.text.spelling import Spelling

SYMBOLS = " abcdefghijklmnopqrstuvwxyz.,!?'-éü中"
known = functools.lru_cache(4)(tables)


@functools.lru_cache(4)
def characters(language="en", symbols=SYMBOLS):
    """The facts of a model of characters, and how it reads."""
    spelling = Spelling("characters", language.split(",")[0], {"symbols": symbols})
    languages = Languages(language, ["a", "b"] if "," in language else ())
    return reading_facts(spelling, languages, {}, None), spelling


def phonemes(pronunciations, symbols):
    """The facts of a model of phonemes, and how it reads IPA."""
    spelling = Spelling("phonemes", "en", {"symbols": symbols})
    own = {"name": "en", **known("en"), "pronunciations": pronunciations}
    marks = {"stresses": STRESSES, "lengths": LENGTHS, "marks": MARKS}
    return {"kind": "phonemes", "symbols": symbols, "languages": [own], **marks}, spelling
