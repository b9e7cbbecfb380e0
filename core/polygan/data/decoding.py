"""Decodes a source's samples in threads, and gives each checked sample, or the reason why it cannot be used, in order."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition, Event, Lock
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from ..errors import DataError
from ..messages import plural, say

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from .source import DataSettings, Field, Source

    Decoded = Mapping[str, np.ndarray] | str
    """The arrays of a sample, or the reason why the sample cannot be used."""

_AHEAD = 8 << 20
"""Bytes for each thread of samples that are being decoded or wait to be written; one sample may be larger."""
_TELL = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def decoded(
    source: Source, settings: DataSettings, progress: bool | None, workers: int | None, start: int = 0
) -> Generator[Decoded]:
    """Each sample from ``start`` on in order, or the reason why it cannot be read. A bounded number of bytes is decoded ahead."""
    total, workers = len(source), workers or min(32, os.cpu_count() or 1)
    terminal = sys.stderr.isatty() if progress is None else progress
    plain = progress is None and not terminal
    if plain:
        after = f", from sample {start + 1:,} on, where decoding was interrupted" if start else ""
        say(f"polygan: decoding {plural(total, 'sample')} of {settings.source!r}{after}")
    work = _Work(source, start, total, workers)
    clock = _Clock(start, total)
    with tqdm(total=total, initial=start, desc="decoding", unit="", disable=not terminal, leave=False) as bar:
        try:
            for done, sample in enumerate(work.samples(), start + 1):
                yield sample
                bar.update()
                if plain and (line := clock.line(done)):
                    say(line)
        finally:
            work.stop()


class _Clock:
    """Says now and then how far decoding is, and how long the rest takes."""

    def __init__(self, start: int, total: int) -> None:
        self._start, self._total = start, total
        self._began = self._told = time.monotonic()

    def line(self, done: int) -> str:
        """A line of progress, or an empty text if the last line is not long ago."""
        now = time.monotonic()
        if now - self._told < _TELL or done == self._total:
            return ""
        self._told = now
        left = int((now - self._began) / (done - self._start) * (self._total - done))
        minutes, seconds = divmod(left, 60)
        return f"polygan: decoded {done:,} of {self._total:,} samples, {minutes}:{seconds:02d} left"


class _Room:
    """Counts the bytes of decoded samples. A thread asks for room before each sample."""

    def __init__(self, limit: int) -> None:
        self._limit, self._lock = limit, Lock()
        self._held, self._active = 0, 0
        self.largest = 0
        """Bytes of the largest sample so far; 0: nothing is known, and one sample is decoded alone."""

    def fits(self, samples: int) -> bool:
        """Whether so many further samples are likely to fit."""
        return self.largest > 0 and self._held + (self._active + samples) * self.largest <= self._limit

    def enter(self, *, must: bool) -> bool:
        """Take room for one sample; False: there is none. ``must`` takes room in any case."""
        with self._lock:
            if not must and not self.fits(1):
                return False
            self._active += 1
            return True

    def decoded(self, size: int) -> None:
        """A sample of ``size`` bytes has been decoded, and waits."""
        with self._lock:
            self._active -= 1
            self._held += size
            self.largest = max(self.largest, size, 1)

    def leave(self, size: int) -> None:
        """A sample has been taken."""
        with self._lock:
            self._held -= size


class _Work:
    """The samples of a source in pieces of consecutive indices, which threads decode while earlier samples are taken."""

    def __init__(self, source: Source, start: int, total: int, workers: int) -> None:
        self.source, self._next, self._total, self._most = source, start, total, 4 * workers
        self._room = _Room(_AHEAD * workers)
        self._pool = ThreadPoolExecutor(workers, "polygan-decode")
        self._stopped = Event()
        self._pieces: deque[tuple[range, Future[list[Decoded]] | None]] = deque()

    def samples(self) -> Generator[Decoded]:
        """Every sample in order."""
        while self._pieces or self._next < self._total:
            self._hand_out()
            indices, future = self._pieces.popleft()
            assert future is not None, "the first piece is always handed out"
            found = future.result()
            future = None
            if rest := indices[len(found) :]:  # there was no room for more
                self._pieces.appendleft((rest, None))
            found.reverse()
            while found:
                size = _size(found[-1])
                yield found.pop()
                self._room.leave(size)

    def _hand_out(self) -> None:
        """Give pieces to the threads: the first piece in any case, others while there is room."""
        chunk = max(1, min(64, _AHEAD // (4 * max(self._room.largest, 1)))) if self._room.largest else 1
        waiting = sum(len(indices) for indices, future in self._pieces if future and not future.done())
        for i, (indices, future) in enumerate(self._pieces):
            if future is None and (i == 0 or self._room.fits(waiting + len(indices))):
                self._pieces[i] = indices, self._submit(indices, must=i == 0)
                waiting += len(indices)
        while self._next < self._total and len(self._pieces) < self._most:
            indices = range(self._next, min(self._next + chunk, self._total))
            if self._pieces and not self._room.fits(waiting + len(indices)):
                return
            self._pieces.append((indices, self._submit(indices, must=not self._pieces)))
            self._next = indices.stop
            waiting += len(indices)

    def _submit(self, indices: range, *, must: bool) -> Future[list[Decoded]]:
        return self._pool.submit(self._decode, indices, must=must)

    def _decode(self, indices: range, *, must: bool) -> list[Decoded]:
        """The samples of a piece, from its first on, as far as there is room for them."""
        found: list[Decoded] = []
        for index in indices:
            if self._stopped.is_set() or not self._room.enter(must=must and not found):
                break
            size = 0
            try:
                found.append(_decode(self.source, index))
                size = _size(found[-1])
            finally:
                self._room.decoded(size)
        return found

    def stop(self) -> None:
        """End the threads. An interrupted build does not wait for the remaining samples."""
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _size(sample: Decoded) -> int:
    return 0 if isinstance(sample, str) else sum(array.nbytes for array in sample.values())


def _decode(source: Source, index: int) -> Decoded:
    """One checked sample, or the reason why it cannot be used."""
    try:
        return _checked(source.fields, source.decode(index))
    except MemoryError:  # the sample may be fine: skipping it would make the data depend on the machine's load
        raise DataError(
            f"memory ran out while {source.name(index)} was decoded; free some memory, or remove the sample"
        ) from None
    except Exception as error:  # a decoder may raise any error for a damaged file; the sample is named and counted
        text = " ".join(str(error).split()) or "unreadable"
        return text if isinstance(error, (DataError, OSError, ValueError)) else f"{type(error).__name__}: {text}"


def _checked(fields: Mapping[str, Field], sample: Mapping[str, object]) -> Mapping[str, np.ndarray]:
    """The arrays of a sample. Raises ValueError for an array that does not fit its field."""
    arrays = {}
    for name, field in fields.items():
        if name not in sample:
            raise ValueError(f"has no {name!r}")
        array = arrays[name] = np.asarray(sample[name])
        fits = array.shape[1:] == field.shape[1:] and array.ndim > 0 if field.ragged else array.shape == field.shape
        if array.dtype != field.dtype or not fits:
            raise ValueError(f"{name} is {array.dtype} {array.shape} instead of {field.dtype} {field.shape}")
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    return arrays


class Room:
    """Lets the threads that decode hold at most ``most`` numbers (pixels, samples) at once. More than that waits until it is alone."""

    def __init__(self, most: int) -> None:
        self.most, self._held, self._changed = most, 0, Condition()

    @contextmanager
    def of(self, count: int) -> Generator[None]:
        """Wait until there is room for so many numbers, and hold them."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + count <= self.most)
            self._held += count
        try:
            yield
        finally:
            with self._changed:
                self._held -= count
                self._changed.notify_all()
