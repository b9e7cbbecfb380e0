"""A recording on disk: what is known of its file before it is decoded, and how loud it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from polygan import DataError, LeftOut

from . import files
from .cells import Cell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass
class Recording:
    """A file with what is known of it before it is opened."""

    path: Path | Cell
    name: str
    """Its path below the root without the suffix, by which its mel is found."""
    text: str = ""
    problem: str = ""
    """Why it cannot be used; empty: nothing known."""
    speaker: str = ""
    """Who speaks; empty: not known."""
    head: files.Header = field(default_factory=lambda: files.Header(0, 0, 0))
    lock: Lock = field(default_factory=Lock, repr=False)
    envelope: Envelope | None = None
    channel: int | None = None
    """The channel that is heard, or `files.MEAN`; None: not known yet."""

    def heard(self, max_channels: int) -> int:
        """`files.channel_of` of the file, found once. DataError where the file cannot be read."""
        if self.head.channels == 1:
            return files.MEAN
        with self.lock:
            if self.channel is None:
                self.channel = files.channel_of(self.path, max_channels)
        return self.channel


class Envelope(NamedTuple):
    """The peak of a file, and from where to where (in its own samples) it is louder than the trimming threshold."""

    peak: float
    begin: int
    end: int


class Piece(NamedTuple):
    """A stretch of a recording in its own samples."""

    recording: int
    start: int
    frames: int


def envelope(path: Path | Cell, trim: float, max_channels: int, channel: int = files.MEAN) -> Envelope:
    """The peak of a file, and its first and last 10 ms within ``trim`` dB of the peak; memory for the peaks alone."""
    step = max(1, files.header(path, max_channels).rate // 100)
    peaks, frames = [], 0
    for block in files.blocks(path, 1000 * step, max_channels, channel):
        frames += len(block)
        loud = np.abs(np.pad(block, (0, -len(block) % step)))
        peaks.append(loud.reshape(-1, step).max(axis=1))
    found = np.concatenate(peaks) if peaks else np.zeros(1, np.float32)
    peak = float(found.max())
    loud = np.flatnonzero(found >= peak * 10 ** (-trim / 20))
    return Envelope(peak, int(loud[0]) * step, min(frames, (int(loud[-1]) + 1) * step))


def stat_of(path: Path | Cell) -> tuple[int | str, int]:
    """Size and modification time of a file; what is not there has none. Of a row, what tells the row from others."""
    if isinstance(path, Cell):
        return path.identity, 0
    try:
        stat = path.stat()
    except OSError:
        return -1, 0
    return stat.st_size, stat.st_mtime_ns


def key_of(recording: Recording) -> tuple[int | str, ...]:
    """What a file or row is, so that its header is read once."""
    path = recording.path
    return ("" if isinstance(path, Cell) else str(path.absolute()), *stat_of(path))


def with_speakers(recordings: Sequence[Recording], source: str) -> tuple[list[Recording], list[LeftOut]]:
    """The recordings whose speaker is known, and a line about the others. DataError where no speaker is known.

    Recordings that cannot be read stay, and are named as such.
    """
    lost = [r for r in recordings if not r.problem and not r.speaker]
    kept = [r for r in recordings if r.problem or r.speaker]
    if lost and not any(r.speaker for r in kept):
        raise DataError(
            f"no recording of {source!r} has a speaker; make a folder for each speaker (--data.speakers folders), or a table "
            "id|speaker|text (--data.speakers column)"
        )
    what = "recording" if len(lost) == 1 else "recordings"
    return kept, [LeftOut(len(lost), what, "no speaker is known", _names(lost))] if lost else []


def too_long(recordings: Sequence[Recording], most: float) -> list[LeftOut]:
    """A line about recordings of more than ``most`` seconds; none where there are none."""
    what = "recording" if len(recordings) == 1 else "recordings"
    why = f"longer than {most:g} s; --data.longest_seconds takes longer ones"
    return [LeftOut(len(recordings), what, why, _names(recordings))] if recordings else []


def _names(recordings: Sequence[Recording]) -> str:
    """The names of the first recordings."""
    return ", ".join([*(r.name for r in recordings[:3]), *(["..."] if len(recordings) > 3 else [])])
