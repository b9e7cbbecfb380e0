"""How samples are written: 16 or 24 bits, or floats; and sound that leaves as a stream of bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
import torch

from polygan import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

Encoding = Literal["pcm16", "pcm24", "float"]
"""16 or 24 bits a sample, full scale [-1, 1), or 32-bit floats, which nothing clips."""
SUBTYPES: dict[str, str] = {"pcm16": "PCM_16", "pcm24": "PCM_24", "float": "FLOAT"}
"""libsndfile's names."""
WRITES: dict[str, tuple[str, ...]] = {
    ".wav": ("pcm16", "pcm24", "float"),
    ".flac": ("pcm16", "pcm24"),
    ".ogg": ("pcm16",),
}
"""The encodings of each kind of file; Ogg has no samples of its own, and takes the usual one."""
STREAMS = ("wav", "raw")
_UNKNOWN = 0xFFFFFFFF  # the length of a stream in its header: until the end
_BITS = {"pcm16": 16, "pcm24": 24, "float": 32}


def subtype_of(suffix: str, encoding: str) -> str:
    """libsndfile's name of an encoding in a file of this suffix. ConfigError where the file cannot have it."""
    known = WRITES[suffix]
    if encoding not in known:
        fits = [kind for kind, encodings in WRITES.items() if encoding in encodings]
        raise ConfigError(
            f"encoding = {encoding}: {suffix} files have {' or '.join(known)} samples; write {' or '.join(fits)} with --format, or leave "
            "the encoding out"
        )
    return "VORBIS" if suffix == ".ogg" else SUBTYPES[encoding]


def encoded(waveform: np.ndarray | torch.Tensor, encoding: str = "pcm16") -> tuple[np.ndarray, int]:
    """Floats (T,) as libsndfile takes them, and how many were outside [-1, 1) and are clipped.

    pcm16: x * 32768 rounded, int16. pcm24: x * 2^23 rounded, in the upper bits of int32. float: float32, as they are. DataError where a
    sample is not finite.
    """
    array = waveform.detach().cpu().float().numpy() if isinstance(waveform, torch.Tensor) else waveform
    array = np.asarray(array, np.float32)
    if not np.isfinite(array).all():
        raise DataError("holds samples that are not finite (NaN or infinite)")
    if encoding == "float":
        return array, 0
    full = 2.0 ** (_BITS[encoding] - 1)
    scaled = np.rint(array * np.float32(full))
    clipped = int(((scaled < -full) | (scaled > full - 1)).sum())
    whole = np.clip(scaled.astype(np.float64), -full, full - 1)
    return (whole.astype(np.int32) << 8 if encoding == "pcm24" else whole.astype(np.int16)), clipped


def check_stream(format: str) -> str:
    """The format of a stream: ``wav`` (also for an empty name) or ``raw``. ConfigError for any other."""
    if (format or "wav") not in STREAMS:
        raise ConfigError(
            f"format = {format!r}: sound is streamed as {' or '.join(STREAMS)}; name a file with --out for others"
        )
    return format or "wav"


def pour(parts: Iterable[torch.Tensor], rate: int, encoding: str, stream: BinaryIO, format: str) -> int:
    """Write pieces (T_i,) to a stream as they come, and return how many samples were clipped.

    ``wav`` begins with a header of unknown length, as programs that read from pipes expect it; ``raw`` is little-endian samples alone.
    """
    bits, clipped = _BITS[encoding], 0
    if format == "wav":
        stream.write(_header(rate, bits, floats=encoding == "float"))
        stream.flush()
    for part in parts:
        samples, outside = encoded(part, encoding)
        clipped += outside
        if encoding == "pcm24":  # the upper three bytes of each
            data = samples.astype("<i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
        else:
            data = samples.astype("<f4" if encoding == "float" else "<i2").tobytes()
        stream.write(data)
        stream.flush()
    return clipped


def _header(rate: int, bits: int, *, floats: bool) -> bytes:
    """The first 44 bytes of a WAV of one channel whose length is not known."""
    width = bits // 8
    head = struct.pack("<4sI4s", b"RIFF", _UNKNOWN, b"WAVE")
    kind = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3 if floats else 1, 1, rate, rate * width, width, bits)
    return head + kind + struct.pack("<4sI", b"data", _UNKNOWN)
