"""Writes the rows of one field to a .npy file, and continues a file that another writer left."""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from ...files import create, reopen, to_disk
from .sums import Part

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    from ..source import Field


class Mark(TypedDict):
    """How far a field was written, and a checksum by which a later build knows that the file is whole up to there."""

    rows: int
    size: int
    """Bytes after the file's header."""
    crc: int
    samples: int
    ends_crc: int


class FieldWriter:
    """Appends the rows of one field to a .npy file. The number of rows is known only at the end.

    ``mark`` continues files that another writer left. Raises ValueError where the files are not what was marked.
    """

    def __init__(self, folder: Path, name: str, field: Field, mark: Mark | None = None) -> None:
        self.name, self.field = name, field
        self.rows, self.size, self.crc = 0, 0, 0
        self.samples, self.ends_crc = 0, 0
        self.path, self.ends_path = folder / f"{name}.npy", folder / f"{name}.ends"
        self.offsets_path = folder / f"{name}.offsets.npy"
        self.file = create(self.path) if mark is None else reopen(self.path)
        self.ends = None
        if field.ragged:
            self.ends = create(self.ends_path) if mark is None else reopen(self.ends_path)
        if mark is None:
            self._header()
        else:
            self._continue(mark)

    def __enter__(self) -> FieldWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self.file, self.ends):
            with suppress(OSError):  # after a full disk, bytes are still buffered; the folder will be removed
                if file is not None:
                    file.close()

    def _header(self) -> None:
        """Write the header. NumPy pads headers, so that a header with another number of rows has the same size."""
        shape = (self.rows, *self.field.shape[1 if self.field.ragged else 0 :])
        facts = {"descr": np.dtype(self.field.dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, facts)

    def _continue(self, mark: Mark) -> None:
        """Cut the files to what was marked, and check that the rest is whole."""
        self._header()
        self.rows, self.size, self.crc = mark["rows"], mark["size"], mark["crc"]
        self.samples, self.ends_crc = mark["samples"], mark["ends_crc"]
        if _cut(self.file, self.file.tell(), self.size) != self.crc:
            raise ValueError(f"{self.path} is not what was marked")
        if self.ends is not None and _cut(self.ends, 0, 8 * self.samples) != self.ends_crc:
            raise ValueError(f"{self.ends_path} is not what was marked")

    def add(self, array: np.ndarray) -> None:
        """Append one sample."""
        data = np.ascontiguousarray(array).data
        self.file.write(data)
        self.crc, self.size = zlib.crc32(data, self.crc), self.size + data.nbytes
        self.rows += len(array) if self.field.ragged else 1
        self.samples += 1
        if self.ends is not None:
            end = struct.pack("<q", self.rows)
            self.ends.write(end)
            self.ends_crc = zlib.crc32(end, self.ends_crc)

    def mark(self) -> Mark:
        """Make what was added durable, and say how far it goes."""
        for file in (self.file, self.ends):
            if file is not None:
                to_disk(file)
        return Mark(rows=self.rows, size=self.size, crc=self.crc, samples=self.samples, ends_crc=self.ends_crc)

    def finish(self) -> dict[str, Part]:
        """Complete the header, write the offsets, and make both files durable. Returns where the bytes of the arrays are."""
        self.file.seek(0)
        self._header()
        parts = {self.name: Part(self.path, self.file.tell(), self.size)}
        to_disk(self.file)
        if self.ends is not None:
            self.ends.close()
            offsets = np.concatenate([np.zeros(1, np.int64), np.fromfile(self.ends_path, "<i8").astype(np.int64)])
            with create(self.offsets_path) as file:
                np.save(file, offsets)
                to_disk(file)
                parts[f"{self.name}.offsets"] = Part(self.offsets_path, file.tell() - offsets.nbytes, offsets.nbytes)
        return parts


def _cut(file: IO[bytes], start: int, size: int) -> int:
    """Cut a file after ``size`` bytes from ``start``, and return their checksum; -1 where the file is shorter."""
    if os.fstat(file.fileno()).st_size < start + size:
        return -1
    file.truncate(start + size)
    file.seek(start)
    crc, left = 0, size
    while left and (data := file.read(min(left, 1 << 20))):
        crc, left = zlib.crc32(data, crc), left - len(data)
    file.seek(0, os.SEEK_END)
    return crc
