"""The symbols that a model knows, and their numbers: of strings, and of batches of UTF-8 bytes on any device."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

_FOLDED = 0x3000  # code points below are folded onto a symbol; higher ones (Chinese, emoji) must be symbols themselves
LIKE = {
    "’": "'",
    "‘": "'",
    "`": "'",
    "´": "'",
    "“": '"',
    "”": '"',
    "„": '"',
    "«": '"',
    "»": '"',
    "–": "-",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "…": ".",
    "¿": "?",
    "¡": "!",
}
"""Signs that stand for others, where those are no symbols."""


class Alphabet:
    """Symbols of one character each and their numbers, from 1 on; 0 pads.

    A character that is no symbol becomes a symbol that is like it: its small letter, a straight quote, the letter without its
    accent. What has none is left out.
    """

    def __init__(self, symbols: str, ids: Sequence[int] | None = None, size: int = 0) -> None:
        """``symbols``: each character once. ``ids``: their numbers, from 1 on; None: in their order. ``size``: numbers in all,
        with the 0 of the padding, where there are more than the symbols need."""
        numbers = range(1, len(symbols) + 1) if ids is None else ids
        self.symbols = symbols
        self._ids = dict(zip(symbols, map(int, numbers), strict=True))
        self._size = max(size, 1 + max(self._ids.values(), default=0))
        self._found: dict[str, int] = dict(self._ids)

    @classmethod
    def of_info(cls, info: Mapping[str, Any]) -> Alphabet:
        """The alphabet that the facts of a run name: ``symbols``, and for imported models ``symbol_ids`` and ``symbol_count``."""
        return cls(str(info.get("symbols", "")), info.get("symbol_ids"), int(info.get("symbol_count", 0)))

    def __len__(self) -> int:
        """How many numbers there are, with the 0 of the padding."""
        return self._size

    def encode(self, text: str) -> list[int]:
        """The numbers of the symbols of a text, in order. Characters outside the alphabet are left out (`outside` counts them)."""
        return [number for number in map(self.number, text) if number]

    def outside(self, text: str) -> Counter[str]:
        """The characters of a text that have no number, and how often each occurs. Blanks do not count."""
        return Counter(c for c in text if not self.number(c) and not c.isspace())

    def number(self, character: str) -> int:
        """The number of a character, or of the symbol that is like it; 0: there is none."""
        found = self._found.get(character)
        if found is None:
            found = next((self._ids[c] for c in _alike(character) if c in self._ids), 0)
            self._found[character] = found
        return found

    def of_bytes(self, text: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """UTF-8 bytes (B, L) uint8 with zeros behind ``length`` (B,) to numbers (B, L) int64 with zeros behind, and their lengths.

        The same as `encode` of each row; no value is read, so that a batch may lie on any device.
        """
        return numbers_of_bytes(self.table.to(text.device), text, length)

    @cached_property
    def table(self) -> Tensor:
        """(code points,) int64: the number of each code point; the last entry, which is 0, stands for all higher ones."""
        highest = max(map(ord, self.symbols), default=0)
        table = torch.zeros(max(_FOLDED, highest + 1) + 1, dtype=torch.int64)
        for code in range(1, _FOLDED):
            table[code] = self.number(chr(code))
        for symbol, number in self._ids.items():
            table[ord(symbol)] = number
        return table


def _alike(character: str) -> list[str]:
    """What may stand for a character that is no symbol, the likest first."""
    if ord(character) >= _FOLDED:
        return []
    if character.isspace():
        return [" "]
    like = LIKE.get(character, character)
    plain = unicodedata.normalize("NFKD", like)[:1]
    return [like, like.lower(), like.upper(), plain, plain.lower(), plain.upper()]


def numbers_of_bytes(table: Tensor, text: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    """`Alphabet.of_bytes` by the table of an alphabet, which lies on the device of ``text``."""
    codes = code_points(text, length)
    numbers = table[codes.clamp(max=len(table) - 1)]  # (B, L)
    return packed(numbers, numbers > 0)


def code_points(text: Tensor, length: Tensor) -> Tensor:
    """UTF-8 bytes (B, L) to code points (B, L) int64: each at its first byte, 0 at its other bytes and from ``length`` (B,) on."""
    size = text.shape[1]
    first = text.long()
    more = F.pad(first, (0, 3)) & 63
    second, third, fourth = (more[:, k : k + size] for k in (1, 2, 3))
    two = (first & 31) << 6 | second
    three = (first & 15) << 12 | second << 6 | third
    four = (first & 7) << 18 | second << 12 | third << 6 | fourth
    found = torch.where(first < 0x80, first, torch.where(first < 0xE0, two, torch.where(first < 0xF0, three, four)))
    inside = torch.arange(size, device=text.device) < length[:, None]
    return torch.where(inside & ((first & 0xC0) != 0x80), found, 0)


def packed(values: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """The ``kept`` values of each row (B, L) in order from the row's beginning on, zeros behind; how many are kept (B,)."""
    size = values.shape[1]
    place = torch.where(kept, kept.long().cumsum(1) - 1, size)
    room = torch.zeros(len(values), size + 1, dtype=values.dtype, device=values.device)
    return room.scatter(1, place, values)[:, :size], kept.long().sum(1)
