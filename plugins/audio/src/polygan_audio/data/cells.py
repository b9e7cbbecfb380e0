"""Sound in a row of a table, which stands where the path of a file stands."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from polygan import DataError

if TYPE_CHECKING:
    from polygan import Table


@dataclass(frozen=True)
class Cell:
    """Sound in a row of a table. Stands where the path of a file stands: its bytes are read when it is opened."""

    table: Table
    column: str
    index: int
    file: str
    """The name of the file that the row was made from; empty: not known."""

    @property
    def suffix(self) -> str:
        """The suffix of the file's name; ``row`` where there is none."""
        return PurePath(self.file).suffix or "row"

    @property
    def identity(self) -> str:
        """A key of the sound."""
        return f"{self.table.fingerprint()} {self.column} {self.index}"

    def __str__(self) -> str:
        place = self.table.place(self.index)
        return f"{place} ({self.file})" if self.file else place

    def open(self) -> io.BytesIO | Path:
        """The bytes of a file of sound, or the file that the row names. Raises DataError where the row holds neither."""
        cell = self.table.row(self.index, self.column)[self.column]
        found = cell if isinstance(cell, dict) else {"bytes": cell}
        if data := found.get("bytes"):
            return io.BytesIO(data)
        if path := found.get("path"):
            return Path(path)
        raise DataError("the row holds no sound")
