"""Rows of text without a copy of each row: one buffer, and where its rows begin and end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from polygan import DataError, is_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from polygan import LeftOut

LONGEST = 1 << 20
"""Bytes of a line or a cell above which it counts as unreadable."""
MARK = b"\xef\xbb\xbf"
"""The byte order mark that some editors put before UTF-8."""


class Rows(NamedTuple):
    """Rows of bytes in one buffer."""

    buffer: bytes
    begins: np.ndarray
    """(n,) int64"""
    ends: np.ndarray

    def bytes_of(self, index: int) -> bytes:
        """One row."""
        return self.buffer[self.begins[index] : self.ends[index]]


@dataclass(frozen=True)
class Corpus:
    """Rows of bytes, each with its place in a file, and with a class if there are classes."""

    buffer: bytes
    begins: np.ndarray
    """(n,) int64"""
    ends: np.ndarray
    places: np.ndarray
    """(n,) number of the line in its file, from 1; of a row over several lines, the first one's."""
    files: Sequence[tuple[str, int]]
    """(name, first index) of each file."""
    labels: np.ndarray | None = None
    """(n,) int64 indices into ``classes``; 0 for odd rows."""
    classes: tuple[str, ...] = ()
    first_test: int | None = None
    """The rows from this index on come from test files; None: there are none."""
    odd: Mapping[int, str] = field(default_factory=dict)
    """Why a row of a table cannot be used, by index."""
    left_out: Sequence[LeftOut] = ()
    """What lies in the files and beside them, and is no row."""
    notes: Sequence[str] = ()
    """How files were read where their names do not tell: ``"a.json is read as JSON lines"``."""
    given: Rows | None = None
    """What each text is made from; None: texts are made from nothing."""

    def __len__(self) -> int:
        return len(self.begins)

    def bytes_of(self, index: int) -> bytes:
        """One row in UTF-8, as its file has it; empty for an odd row."""
        return self.buffer[self.begins[index] : self.ends[index]]

    def text(self, index: int) -> str:
        """One row. Raises DataError if the row is odd, not UTF-8, or too long."""
        if index in self.odd:
            raise DataError(self.odd[index])
        return decode_line(self.bytes_of(index))

    def given_text(self, index: int) -> str:
        """What a row's text is made from. Raises DataError if these bytes are not UTF-8, or too long."""
        assert self.given is not None
        try:
            return decode_line(self.given.bytes_of(index))
        except DataError as error:
            raise DataError(f"has a source that {error}") from None

    def name(self, index: int) -> str:
        """The file and the line."""
        file = next(name for name, first in reversed(self.files) if first <= index)
        return place_of(file, int(self.places[index]))


def place_of(file: str, number: int) -> str:
    """The name of a line, or of a row where ``file`` names a data set of the library `datasets`."""
    return f"{file} {'row' if is_table(file) else 'line'} {number}"


def decode_line(line: bytes) -> str:
    """A line's text. Raises DataError, without the line's place, if the line is not UTF-8, too long, or binary."""
    if len(line) > LONGEST:
        raise DataError(f"has {len(line):,} bytes, more than {LONGEST:,}; split the text")
    if b"\0" in line:
        raise DataError("holds a zero byte; remove the byte, or convert the file to UTF-8")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"is not UTF-8 (byte 0x{line[error.start]:02x} at {error.start + 1}); convert the file"
        ) from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a plain text file with their numbers from 1, read as they are asked for; lines of white space are left out.

    Raises DataError, which names the line, if the file is not UTF-8 text.
    """
    try:
        with path.open("rb") as file:
            place = 0
            while line := file.readline(LONGEST + 2):
                place += 1
                if len(line) > LONGEST + 1:  # otherwise the rest of the line would count as another line
                    raise DataError(f"{path} line {place}: has more than {LONGEST:,} bytes; split the line")
                if b"\0" in line:
                    raise DataError(f"{path} is a binary file, not UTF-8 text; name a text file")
                line = line.removeprefix(MARK) if place == 1 else line
                try:
                    text = decode_line(line.removesuffix(b"\n").removesuffix(b"\r"))
                except DataError as error:
                    raise DataError(f"{path} line {place}: {error}") from None
                if text.strip():
                    yield place, text
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); name another file") from None
