"""Where a space stands between tokens that a tokenizer did not write side by side itself."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def gap_of(decoder: Mapping[str, object] | None) -> str:
    """What a decoder, or a part of one, writes as a space before a word; empty for other decoders."""
    if not decoder:
        return ""
    if decoder.get("type") == "Metaspace":
        return str(decoder["replacement"])
    parts = decoder.get("decoders")
    return next(filter(None, map(gap_of, parts)), "") if isinstance(parts, list) else ""


def opens(token: str, gap: str) -> bool:
    """Whether a word follows a token without a space: a bracket or a mark of quotation that opens, or a dash within a word."""
    return token in ("-", "/") or unicodedata.category(token[-1:] or gap) in ("Ps", "Pi")


def fitted(piece: str, last: str, gap: str) -> str:
    """A piece of another text behind the token ``last``: two words have a space between them, an open bracket has none behind it."""
    if piece.startswith(gap):
        return piece[len(gap) :] if unicodedata.category(last[-1:] or gap) in ("Ps", "Pi") else piece
    return gap + piece if _is_word(last[-1:]) and _is_word(piece[:1]) else piece


def _is_word(character: str) -> bool:
    """Whether a character belongs to a word: a letter, a combining mark or a digit."""
    return bool(character) and unicodedata.category(character)[0] in "LMN"
