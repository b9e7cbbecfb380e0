"""What the header of a sound file promises. libsndfile corrects the count of samples of a file that was cut, and says nothing."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNKNOWN = 0x7FFF0000
"""Sizes from which on a header of 32 bits is that of a stream, whose length its writer did not know (ffmpeg, sox)."""
_CHUNKS = 10_000  # that are looked at
_DATA = b"data"


class Promise(NamedTuple):
    """Bytes of sound: as many as the header says, and as many as follow in the file."""

    said: int
    there: int


def promise_of(place: Path | io.BytesIO) -> Promise | None:
    """The promise of a WAV (RIFF, RIFX, RF64, BW64), Wave64, AIFF or AU file. None for other files, and where the length is not said."""
    # Bytes have a reader of their own: another one may stand in the middle of them.
    with place.open("rb") if isinstance(place, Path) else io.BytesIO(place.getvalue()) as file:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(16)
        try:
            found = _promise(file, head)
        except struct.error:  # the file ends inside its header
            return None
    if found is None or found[0] <= 0:
        return None
    said, begin = found
    return Promise(said, max(0, size - begin))


def _promise(file: BinaryIO, head: bytes) -> tuple[int, int] | None:
    """Bytes that a header says, and where they begin."""
    if head[8:12] == b"WAVE" and head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return _wave(file, ">" if head[:4] == b"RIFX" else "<")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return next(((n - 8, at + 8) for name, n, at in _chunks(file, ">") if name == b"SSND" and n < _UNKNOWN), None)
    if head[:4] == b".snd":
        begin, said = struct.unpack(">II", head[4:12])
        return (said, begin) if said < _UNKNOWN else None
    return _wave64(file) if head[:4] == b"riff" else None


def _wave(file: BinaryIO, order: str) -> tuple[int, int] | None:
    long = 0
    for name, size, at in _chunks(file, order):
        if name == b"ds64":
            file.seek(at + 8)
            (long,) = struct.unpack("<Q", file.read(8))
        if name == _DATA:
            said = long if size == 0xFFFFFFFF else size
            return (said, at) if said < _UNKNOWN or (said == long and long < 1 << 62) else None
    return None


def _chunks(file: BinaryIO, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, size and place of the content of each chunk of a file of the IFF family."""
    at = 12
    for _ in range(_CHUNKS):
        file.seek(at)
        name, size = struct.unpack(f"{order}4sI", file.read(8))
        yield name, size, at + 8
        at += 8 + size + size % 2


def _wave64(file: BinaryIO) -> tuple[int, int] | None:
    """Chunks of Wave64 have names of 16 bytes and sizes of 64 bits, which count name and size."""
    at = 40
    for _ in range(_CHUNKS):
        file.seek(at)
        name, size = struct.unpack("<16sQ", file.read(24))
        if name[:4] == _DATA:
            return (size - 24, at + 24) if 24 < size < 1 << 62 else None
        at += max(24, size + -size % 8)
    return None
