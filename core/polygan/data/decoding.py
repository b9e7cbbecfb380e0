"""Decodes a source's samples in threads, and gives each checked sample, or the reason why it cannot be used, in order."""

from __future__ import annotations

import os
import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from ..errors import DataError
from ..messages import say

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from .source import DataSettings, Field, Source

_AHEAD = 4 << 20
"""Bytes of decoded samples that one job of a thread should hold."""


def decoded(
    source: Source, settings: DataSettings, progress: bool | None, workers: int | None
) -> Generator[Mapping[str, np.ndarray] | str]:
    """Each sample in order, or the reason why it cannot be read. A bounded number of bytes is decoded ahead."""
    total, workers = len(source), workers or min(32, os.cpu_count() or 1)
    terminal = sys.stderr.isatty() if progress is None else progress
    if progress is None and not terminal:
        say(f"polygan: decoding {total} samples of {settings.source!r}")
    pending: deque[Future[list[Mapping[str, np.ndarray] | str]]] = deque()
    pool = ThreadPoolExecutor(workers, "polygan-decode")
    start, chunk, largest = 0, 1, 1
    stopped = Event()
    with tqdm(total=total, desc="decoding", unit="", disable=not terminal, leave=False) as bar:
        try:
            while pending or start < total:
                while start < total and len(pending) < 4 * workers:
                    end = min(start + chunk, total)
                    pending.append(pool.submit(_decode_all, source, range(start, end), stopped))
                    start = end
                samples = pending.popleft().result()
                yield from samples
                bar.update(len(samples))
                sizes = [sum(a.nbytes for a in s.values()) for s in samples if not isinstance(s, str)]
                largest = max([largest, *sizes])
                chunk = max(1, min(64, _AHEAD // largest))
        finally:
            stopped.set()  # an interrupted build does not wait for the remaining samples
            pool.shutdown(wait=True, cancel_futures=True)


def _decode_all(source: Source, indices: range, stopped: Event) -> list[Mapping[str, np.ndarray] | str]:
    return [_decode(source, i) for i in indices if not stopped.is_set()]


def _decode(source: Source, index: int) -> Mapping[str, np.ndarray] | str:
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
