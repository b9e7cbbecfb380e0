"""What a recogniser is to hear in a transcript: letters in lower case, digits, apostrophes and spaces."""

from __future__ import annotations

from ..text.symbols import Alphabet


def heard(symbols: str) -> Alphabet:
    """The alphabet of what sounds among the ``symbols`` of all transcripts.

    A capital counts as its small letter, and punctuation is left out: two languages share the alphabet.
    """
    small = {c for symbol in symbols for c in symbol.lower()}
    return Alphabet("".join(sorted(c for c in small if c.isalnum() or c in " '")))
