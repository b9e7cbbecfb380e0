"""Words that a recogniser hears: transcripts made comparable, edit distance, pocketsphinx."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..optional import need
from .measures import resampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

RATE = 16_000
_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ONES = _NAMES.split()
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SIGNS = {"&": " and ", "%": " percent ", "#": " pound ", "+": " plus ", "’": "'"}


def spelled(number: int) -> str:
    """A number in words: ``spelled(342) == "three hundred forty two"``; from a million on digit by digit."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10 - 2] + (f" {_ONES[number % 10]}" if number % 10 else "")
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if size <= number < 1000 * size:
            rest = f" {spelled(number % size)}" if number % size else ""
            return f"{spelled(number // size)} {name}{rest}"
    return " ".join(_ONES[int(digit)] for digit in str(number))


def words(text: str) -> list[str]:
    """Lower-case words without punctuation, apostrophes inside words kept, hyphens apart, numbers spelled."""
    text = text.lower()
    for sign, word in _SIGNS.items():
        text = text.replace(sign, word)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"[0-9]+", lambda m: f" {_number(m[0])} ", text)
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", text)


def _number(digits: str) -> str:
    """More than six digits, or a leading zero, are a code that is read digit by digit."""
    code = len(digits) > 6 or (digits[0] == "0" and len(digits) > 1)
    return " ".join(_ONES[int(d)] for d in digits) if code else spelled(int(digits))


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Fewest insertions, deletions and substitutions of words that turn ``a`` into ``b`` (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def error_rate(texts: Sequence[str], heard: Sequence[str]) -> float:
    """Edits over the number of words of all transcripts together; can exceed 1. ValueError where they have no words."""
    pairs = [(words(text), words(other)) for text, other in zip(texts, heard, strict=True)]
    total = sum(len(text) for text, _ in pairs)
    if not total:
        raise ValueError("the transcripts have no words")
    return sum(edits(text, other) for text, other in pairs) / total


def recognise(clips: Sequence[Tensor], rate: int) -> list[str]:
    """What pocketsphinx's English model hears in waveforms (T_i,) in [-1, 1], one after the other.

    One decoder for all, which adapts to the voice as it goes, and fewer hypotheses a frame than its default (3,000
    instead of 30,000: the same errors, less time). ConfigError without pocketsphinx.
    """
    decoder = need("pocketsphinx", "words", "audio/wer").Decoder(samprate=RATE, maxhmmpf=3000, loglevel="FATAL")
    heard = []
    for clip in clips:
        pcm = (resampled(clip, rate, RATE).clamp(-1, 1) * 32767).round().short()
        decoder.start_utt()
        decoder.process_raw(pcm.numpy().tobytes(), no_search=False, full_utt=False)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        heard.append(hypothesis.hypstr if hypothesis else "")
    return heard
