"""A PNG file written row by row (W3C, "Portable Network Graphics Specification", second edition)."""

from __future__ import annotations

import struct
import zlib
from typing import IO

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # the colour type of so many channels
_PIECE = 2**22  # bytes of rows that are filtered at once


class PNGWriter:
    """Writes rows (h, W, C) of uint8 or uint16 into an open file, from the top; `close` writes the end of the file.

    Each row has the filter None, Sub or Up whose bytes are nearest to 0 (section 12.8). Raises ValueError for too few or too many rows.
    """

    def __init__(self, file: IO[bytes], width: int, height: int, channels: int, dtype: str = "uint8") -> None:
        """``channels``: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha. ``dtype``: uint8 or uint16."""
        self.file, self.shape, self.left = file, (width, channels), height
        self.dtype = np.dtype(dtype)
        if self.dtype.kind != "u" or self.dtype.itemsize > 2:
            raise ValueError(f"PNG holds uint8 and uint16, not {dtype}")
        self._pixel = channels * self.dtype.itemsize
        self._above = np.zeros(width * self._pixel, np.uint8)
        self._deflate = zlib.compressobj(5)
        file.write(SIGNATURE)
        header = struct.pack(">IIBBBBB", width, height, 8 * self.dtype.itemsize, _COLOURS[channels], 0, 0, 0)
        self._chunk(b"IHDR", header)

    def write(self, rows: np.ndarray) -> None:
        """The next rows (h, W, C)."""
        if rows.shape[1:] != self.shape or rows.dtype != self.dtype or len(rows) > self.left:
            raise ValueError(f"rows {rows.dtype} {rows.shape} do not fit {self.left} rows {self.dtype} {self.shape}")
        self.left -= len(rows)
        each = max(1, _PIECE // max(1, len(self._above)))
        for i in range(0, len(rows), each):
            some = np.ascontiguousarray(rows[i : i + each].astype(self.dtype.newbyteorder(">"), copy=False))
            self._data(self._deflate.compress(self._filtered(some.view(np.uint8).reshape(len(some), -1))))

    def close(self) -> None:
        """Write the end of the file."""
        if self.left:
            raise ValueError(f"{self.left} rows are missing")
        self._data(self._deflate.flush())
        self._chunk(b"IEND", b"")

    def _filtered(self, rows: np.ndarray) -> np.ndarray:
        """Bytes (h, 1 + n) of rows (h, n): each with its filter and the number of that filter."""
        before = np.zeros_like(rows)
        before[:, self._pixel :] = rows[:, : -self._pixel]
        above = np.concatenate([self._above[None], rows[:-1]])
        self._above = rows[-1]
        choices = (rows, rows - before, rows - above)
        costs = [np.minimum(c, 0 - c).sum(1, dtype=np.int64) for c in choices]  # bytes are signed here
        best = np.argmin(costs, 0)
        made = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
        made[:, 0] = best
        for kind, choice in enumerate(choices):
            np.copyto(made[:, 1:], choice, where=(best == kind)[:, None])
        return made

    def _data(self, packed: bytes) -> None:
        if packed:
            self._chunk(b"IDAT", packed)

    def _chunk(self, name: bytes, data: bytes) -> None:
        self.file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
