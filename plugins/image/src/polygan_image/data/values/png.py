"""PNG files written band by band (PNG, third edition, W3C 2025): memory does not depend on the height of the picture."""

from __future__ import annotations

import struct
import zlib
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_COLOUR = {1: 0, 3: 2, 4: 6}  # channels: colour type
_SUB, _UP = 1, 2  # types of filters
_LEVEL = 4  # of zlib: higher levels take twice the time for a few percent
_CHUNK = 2**20  # bytes of compressed data in a chunk, about


def write(bands: Iterable[np.ndarray], path: Path, height: int) -> None:
    """Write bands (h, W, C) of uint8 (C in 1, 3, 4) or uint16 (C = 1), top to bottom, ``height`` rows in all."""
    packer = zlib.compressobj(_LEVEL)
    above = np.zeros(0, np.uint8)
    packed = bytearray()
    with path.open("wb") as file:
        for band in bands:
            if not above.size:
                _begin(file, band, height)
                above = np.zeros(band.shape[1] * band.shape[2] * band.itemsize, np.uint8)
            rows = np.ascontiguousarray(band, band.dtype.newbyteorder(">")).view(np.uint8).reshape(len(band), -1)
            packed += packer.compress(_filtered(rows, above, band.shape[2] * band.itemsize))
            above = rows[-1]
            if len(packed) > _CHUNK:
                _chunk(file, b"IDAT", bytes(packed))
                packed.clear()
        _chunk(file, b"IDAT", bytes(packed + packer.flush()))
        _chunk(file, b"IEND", b"")


def _begin(file: IO[bytes], band: np.ndarray, height: int) -> None:
    file.write(b"\x89PNG\r\n\x1a\n")
    depth, colour = 8 * band.itemsize, _COLOUR[band.shape[2]]
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", band.shape[1], height, depth, colour, 0, 0, 0))


def _chunk(file: IO[bytes], name: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def _filtered(rows: np.ndarray, above: np.ndarray, pixel: int) -> bytes:
    """Rows (h, bytes), each by the filter whose differences are smaller: from the pixel of ``pixel`` bytes to the left, or above."""
    sub, up = rows.copy(), rows.copy()
    sub[:, pixel:] -= rows[:, :-pixel]
    up[0] -= above
    up[1:] -= rows[:-1]
    sums = [np.abs(x.view(np.int8).astype(np.int16)).sum(1, dtype=np.int64) for x in (sub, up)]
    is_up = (sums[1] < sums[0])[:, None]
    return np.concatenate([np.where(is_up, _UP, _SUB).astype(np.uint8), np.where(is_up, up, sub)], 1).tobytes()
