"""What characters a text has: scripts without spaces between words, line breaks, and characters that join others."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from .facts import percent

if TYPE_CHECKING:
    from collections.abc import Iterable

_SPACES = ("▁", "␣", *map(chr, range(0xE000, 0xF900)))  # the usual one first; then others, down to characters of nobody
_LOOK = 20_000  # texts that are looked at for their script
_FROM = 0.2  # share of letters without spaces from which texts are cut into characters
_LONG = 15  # mean letters of a word above which words are no words
_WORD = re.compile(r"[^\W\d_]+")
_UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf"  # Tai scripts
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9d"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Chinese characters
    "\ua980-\ua9df\uaa60-\uaa7f"  # Javanese, Burmese
    "]"
)
_JOINERS = re.compile(
    "[\u200c\u200d\u0e33\u0eb3\uff9e\uff9f"  # joiners of width 0; Thai and Lao vowels; Japanese voice marks
    "\u1160-\u11ff\ud7b0-\ud7ff"  # later parts of a Korean syllable
    "\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"  # flags, tones of skin, tags
)


class Survey(NamedTuple):
    """What decides how texts are cut into tokens."""

    breaks: bool
    """Whether a text has several lines."""
    clusters: bool
    """Whether a character that a reader sees may have several code points, such as an emoji of a family."""
    space: str
    """A character that no text has; it stands for the space before a word."""


def survey(texts: Iterable[str]) -> Survey:
    """The characters of all texts, looked at."""
    seen = set[str]()
    for text in texts:
        seen.update(text)
    joins = any(unicodedata.category(c)[0] == "M" or _JOINERS.match(c) for c in seen)
    return Survey("\n" in seen, joins, next(c for c in _SPACES if c not in seen))


def without_spaces(texts: Iterable[str]) -> str:
    """Why words cannot be told by their spaces, in a few words; empty where they can."""
    letters = unspaced = words = 0
    for text, _ in zip(texts, range(_LOOK), strict=False):
        found = _WORD.findall(text)
        words += len(found)
        letters += sum(map(len, found))
        unspaced += 0 if text.isascii() else len(_UNSPACED.findall(text))
    share = min(1.0, unspaced / max(1, letters))
    if share >= _FROM:
        return f"{percent(share)} of the letters belong to scripts without spaces"
    if letters > _LONG * words:
        return f"words have {letters / words:.0f} letters on average"
    return ""
