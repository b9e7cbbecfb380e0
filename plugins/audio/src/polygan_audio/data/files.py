"""Sound files: read in blocks whatever their headers claim, mixed down, resampled piece by piece, written.

Errors are `polygan.DataError` that say what is wrong; the caller names the file.
"""

from __future__ import annotations

import io
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile
import torch

from polygan import DataError, Room

from .cells import Cell
from .containers import promise_of
from .encoding import encoded, subtype_of
from .resampling import grid as grid
from .resampling import resampler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64")
WRITTEN = (".wav", ".flac", ".ogg")
MAX_CHANNELS = 32
MEAN = -1
"""In the place of a channel: the mean of all."""
_CANCELLED = 0.2  # of the energy that the mean of unlike channels has: 10 dB below the channels of stereo
_HEARD = 5.0  # seconds that show whether channels cancel each other out
RATES = (1000, 768_000)
"""Sample rates in Hz that are believed."""
_VALUES = 1 << 19  # samples of all channels that are read at a time
_LOUDEST = 16.0  # of float files, whose full scale is 1
_EXPANSION = 1000  # bytes that a byte of a file may become; speech at 6 kbit/s becomes 128


_room = Room(1 << 22)  # samples that are resampled at once: torch's convolution takes some 64 bytes for each


class Header(NamedTuple):
    """What a file says of itself: Hz, samples a channel, channels."""

    rate: int
    frames: int
    channels: int
    floats: bool = False
    """Whether samples are floats, which may be beyond full scale."""

    @property
    def seconds(self) -> float:
        """Length."""
        return self.frames / self.rate


def _decoder(path: Path | io.BytesIO) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(path)
    except TypeError:  # a name that ends in .raw
        raise DataError("has no header that tells its rate and format; convert it to WAV or FLAC") from None


@contextmanager
def _opened(place: Path | Cell, max_channels: int) -> Iterator[soundfile.SoundFile]:
    """The open file, checked. What the decoder raises becomes a DataError."""
    path = place.open() if isinstance(place, Cell) else place
    if isinstance(path, io.BytesIO):
        size = len(path.getbuffer())
    elif not path.is_file():
        raise DataError("is no file" if path.exists() else "does not exist")
    else:
        size = path.stat().st_size
    if size == 0:
        raise DataError("the file is empty; remove it")
    try:
        with _decoder(path) as file:
            if not RATES[0] <= file.samplerate <= RATES[1]:
                raise DataError(f"claims {file.samplerate:,} Hz; sound has {RATES[0]:,} to {RATES[1]:,} Hz")
            if file.channels > max_channels:
                raise DataError(
                    f"has {file.channels:,} channels, more than data.max_channels = {max_channels}; mix it down or raise it"
                )
            if file.frames <= 0:
                raise DataError("holds no sound (0 samples); remove it")
            if 2 * file.frames * file.channels > _EXPANSION * size:
                raise DataError(
                    f"claims {file.frames / file.samplerate:,.0f} s in {size:,} bytes, more than {_EXPANSION:,}-fold "
                    "compression: silence or a damaged header; remove it"
                )
            _refuse_truncated(path, file)
            yield file
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise DataError(f"cannot be read as sound ({reason}); convert it to WAV or FLAC, or remove it") from None


def _refuse_truncated(path: Path | io.BytesIO, file: soundfile.SoundFile) -> None:
    """DataError where more than 0.1 s of what the file's own header says is missing."""
    promise = promise_of(path)
    if promise is None or promise.there >= promise.said:
        return
    there = file.frames / file.samplerate
    said = there * promise.said / max(1, promise.there)
    if said - there > 0.1:
        raise DataError(_truncated(there, said))


def _truncated(there: float, said: float) -> str:
    return f"ends after {there:.2f} s where its header says {said:.2f} s; it is truncated, fetch it again"


def header(path: Path | Cell, max_channels: int = MAX_CHANNELS) -> Header:
    """What the file says of itself, nothing decoded. DataError where it is no sound, empty or not to be believed."""
    with _opened(path, max_channels) as file:
        return Header(file.samplerate, file.frames, file.channels, file.subtype in ("FLOAT", "DOUBLE"))


def channel_of(path: Path | Cell, max_channels: int = MAX_CHANNELS) -> int:
    """The loudest channel of a file whose channels cancel each other out in their mean; `MEAN` for every other file.

    The mean of C channels that have nothing in common has 1/C of their mean energy; 10 dB less is cancelled. A file whose first
    seconds are not cancelled is not read further.
    """
    with _opened(path, max_channels) as file:
        if file.channels == 1:
            return MEAN
        energies, mean = np.zeros(file.channels), 0.0
        for block in _stretch(file, file.frames, None):
            energies += np.square(block, dtype=np.float64).sum(0)
            mean += float(np.square(block.mean(1, dtype=np.float64)).sum())
            if mean > _CANCELLED * energies.sum() / file.channels**2 and file.tell() >= _HEARD * file.samplerate:
                return MEAN
    cancelled = energies.sum() > 0 and mean <= _CANCELLED * energies.sum() / len(energies) ** 2
    return int(energies.argmax()) if cancelled else MEAN


def _mono(block: np.ndarray, before: int, rate: int, channel: int | None) -> np.ndarray:
    """(n, channels) to (n,), a channel or the mean. DataError where samples are not finite or far beyond full scale."""
    peak = float(np.abs(block).max(initial=0.0))
    if not math.isfinite(peak):
        at = before + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
        raise DataError(f"holds samples that are not finite (NaN or infinite), the first at {at / rate:.3f} s; mend it")
    if peak > _LOUDEST:
        raise DataError(
            f"its samples reach {peak:,.0f}, full scale is 1; if they are 16-bit integers stored as floats, divide by 32768"
        )
    if channel is None:
        return block
    if channel != MEAN or block.shape[1] == 1:
        return block[:, max(0, channel)]
    return block.mean(axis=1, dtype=np.float32)


def _stretch(file: soundfile.SoundFile, frames: int, channel: int | None = MEAN) -> Iterator[np.ndarray]:
    """Blocks (n,) from where the file stands, at most so many frames in all; fewer where it ends before. None: (n, channels)."""
    most, done = max(1, _VALUES // file.channels), 0
    while done < frames:
        block = file.read(min(most, frames - done), dtype="float32", always_2d=True)
        if not len(block):
            return
        yield _mono(block, file.tell() - len(block), file.samplerate, channel)
        done += len(block)


def read(
    path: Path | Cell,
    start: int = 0,
    frames: int = -1,
    rate: int = 0,
    max_channels: int = MAX_CHANNELS,
    channel: int = MEAN,
) -> tuple[np.ndarray, int]:
    """A stretch of a file as float32 (T,), full scale [-1, 1], and its rate in Hz.

    ``start`` and ``frames`` count the file's own samples (-1: to the end). With ``rate`` the stretch is resampled with
    as much around it as the filter sees, so that it equals that part of the whole file resampled: ``start`` is a
    multiple of `grid`, and T = ceil(frames * rate / file's rate). ``channel``: the one that is heard, or `MEAN`. DataError where the file cannot be read, or ends
    more than 0.1 s before its header says.
    """
    with _opened(path, max_channels) as file:
        own = file.samplerate
        rate = rate or own
        frames = file.frames - start if frames < 0 else min(frames, file.frames - start)
        if rate == own:
            return _filled(file, start, frames, channel), own
        resample, unit, width = resampler(own, rate)
        if start % unit:
            raise ValueError(f"start = {start} is not a multiple of {unit}, where {own} and {rate} Hz meet")
        first = max(0, start - -(-width // unit) * unit)
        last = min(file.frames, start + frames + width + unit)
        with _room.of(last - first):
            around = torch.from_numpy(_filled(file, first, last - first, channel))
            made = resample(around)
    begin = (start - first) // unit * (rate * unit // own)
    return made[begin : begin + -(-frames * rate // own)].numpy(), rate


def _filled(file: soundfile.SoundFile, start: int, frames: int, channel: int = MEAN) -> np.ndarray:
    """Exactly so many frames from a place; up to 0.1 s that is missing at the end is silence."""
    _seek(file, start)
    # A header is not believed: memory grows with what is there.
    blocks = list(_stretch(file, frames, channel))
    found = sum(map(len, blocks))
    if frames - found > file.samplerate // 10:
        ends, claimed = (start + found) / file.samplerate, file.frames / file.samplerate
        raise DataError(_truncated(ends, claimed))
    if len(blocks) == 1 and found == frames:
        return np.ascontiguousarray(blocks[0])
    return np.concatenate([*blocks, np.zeros(frames - found, np.float32)])


def _seek(file: soundfile.SoundFile, start: int) -> None:
    """To a place, exactly.

    In Ogg files libsndfile lands elsewhere in the last page, and may after any seek decode the first block wrongly
    (https://github.com/libsndfile/libsndfile/issues/885): it is sent to a place before, and what lies between is read.
    """
    exact = file.format != "OGG"
    near = start if exact else max(0, min(start, file.frames - 10 * file.samplerate) - file.samplerate)
    if near:
        file.seek(near)
    for _ in _stretch(file, start - near):
        pass


def blocks(
    path: Path | Cell, frames: int, max_channels: int = MAX_CHANNELS, channel: int = MEAN
) -> Iterator[np.ndarray]:
    """The file from begin to end as float32 (frames,) pieces, mono, the last one shorter: for files of any length.

    Memory does not depend on the file's length. DataError as `read`, but a file may end before its header says.
    """
    with _opened(path, max_channels) as file:
        rest: list[np.ndarray] = []
        held = 0
        for block in _stretch(file, file.frames, channel):
            rest.append(block)
            held += len(block)
            if held >= frames:
                joined = np.concatenate(rest)
                whole = held // frames * frames
                yield from joined[:whole].reshape(-1, frames)
                rest, held = [joined[whole:]], held - whole
        if held:
            yield np.concatenate(rest)


def to_int16(waveform: np.ndarray | torch.Tensor) -> tuple[np.ndarray, int]:
    """Floats (T,) in [-1, 1) as int16, x * 32768 rounded, and how many were outside and clipped.

    DataError where a sample is not finite.
    """
    return encoded(waveform)


def write(path: Path, waveform: np.ndarray | torch.Tensor, rate: int, encoding: str = "pcm16") -> int:
    """Write (T,) floats in [-1, 1] to .wav or .flac (`Encoding`) or .ogg (Vorbis); returns how many samples were clipped."""
    return write_blocks(path, [waveform], rate, encoding)


def write_blocks(path: Path, waveform: Iterable[np.ndarray | torch.Tensor], rate: int, encoding: str = "pcm16") -> int:
    """`write` of pieces (T_i,) that come one by one. DataError, which names the file, where it cannot be written.

    What the pieces' own iterator raises passes as it is. ConfigError for an encoding that the file cannot have.
    """
    if path.suffix.lower() not in WRITTEN:
        raise DataError(f"{path}: sound is written as {', '.join(WRITTEN)}")
    clipped = 0
    kind, subtype = path.suffix[1:].upper(), subtype_of(path.suffix.lower(), encoding)
    try:
        with soundfile.SoundFile(path, "w", rate, 1, subtype, format=kind) as file:
            for block in waveform:
                try:
                    samples, outside = encoded(block, encoding)
                except DataError as error:
                    raise DataError(f"{path}: {error}") from None
                clipped += outside
                for begin in range(0, len(samples), 1 << 16):  # libvorbis overflows its stack on long ones
                    file.write(samples[begin : begin + (1 << 16)])
    except (soundfile.SoundFileError, OSError) as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise DataError(f"{path}: cannot be written at {rate:,} Hz ({reason}); name another place or format") from None
    return clipped


def wav_bytes(waveform: np.ndarray | torch.Tensor, rate: int) -> bytes:
    """A 16-bit WAV in memory of (T,) floats in [-1, 1]."""
    file = io.BytesIO()
    soundfile.write(file, to_int16(waveform)[0], rate, "PCM_16", format="WAV")
    return file.getvalue()
