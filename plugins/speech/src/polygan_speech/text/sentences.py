"""A long text in pieces that are spoken one after another."""

from __future__ import annotations

import re

_ENDS = re.compile(r"(?<=[.!?;:])[\"')\]]*\s+|(?<=[。！？；])\s*|\n+")
_WITHIN = re.compile(r"(?<=[,;:-])\s+")


def sentences(text: str, most: int) -> list[str]:
    """The sentences of a text in order, none longer than ``most`` characters; longer ones are cut at commas, else at blanks."""
    found: list[str] = []
    for sentence in _ENDS.split(text):
        found += _cut(sentence.strip(), most)
    return found


def _cut(sentence: str, most: int) -> list[str]:
    if len(sentence) <= most:
        return [sentence] if sentence else []
    pieces: list[str] = []
    for part in _WITHIN.split(sentence):
        for word in [part] if len(part) <= most else part.split():
            for bit in [word[i : i + most] for i in range(0, len(word), most)]:
                if pieces and len(pieces[-1]) + 1 + len(bit) <= most:
                    pieces[-1] += " " + bit
                else:
                    pieces.append(bit)
    return pieces
