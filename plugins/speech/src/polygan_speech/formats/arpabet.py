"""The symbols of NVIDIA's Tacotron 2 and of torchaudio's bundles, each as one character.

NVIDIA's table (https://github.com/NVIDIA/tacotron2, text/symbols.py) has 148: a pad, signs, letters and 84 ARPAbet symbols of one
to three letters. An alphabet here is a string of single characters, whose ids are 1, 2, ... in order. An ARPAbet symbol is therefore a
character of Unicode's private use area. So are the capitals: NVIDIA's text is in small letters, and their rows were never trained.
An alphabet without capitals reads a capital as its small letter.
"""

from __future__ import annotations

import re

_SIGNS = "-!'(),.:;? "
_SMALL = "abcdefghijklmnopqrstuvwxyz"
_SOUNDS = "AA* AE* AH* AO* AW* AY* B CH D DH EH* ER* EY* F G HH IH* IY* JH K L M N NG OW* OY* P R S SH T TH UH* UW* V W Y Z ZH"
ARPABET = tuple(
    sound.removesuffix("*") + stress
    for sound in _SOUNDS.split()
    for stress in (("", *"012") if "*" in sound else ("",))
)
"""The symbols of CMU's pronouncing dictionary: consonants, and each vowel alone and with its stress."""
_CHARACTER = {symbol: chr(0xE000 + i) for i, symbol in enumerate(ARPABET)}

TORCHAUDIO = _SIGNS + _SMALL
"""The symbols after the pad of torchaudio's bundles of characters, in torchaudio's order."""
_CAPITALS = "".join(chr(0xE100 + i) for i in range(len(_SMALL)))
NVIDIA = _SIGNS + _CAPITALS + _SMALL + "".join(_CHARACTER.values())
"""NVIDIA's 147 symbols after the pad, in NVIDIA's order."""


def with_arpabet(text: str) -> str:
    """Text in which ARPAbet in braces has become characters of `NVIDIA`: ``say {HH AH0 L OW1}.``

    Braces with anything else in them stay as they are.
    """

    def spoken(found: re.Match[str]) -> str:
        sounds = found[1].split()
        known = sounds and all(sound in _CHARACTER for sound in sounds)
        return "".join(_CHARACTER[sound] for sound in sounds) if known else found[0]

    return re.sub(r"\{([^{}]*)\}", spoken, text)
