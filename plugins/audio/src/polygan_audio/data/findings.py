"""What is odd with the sound of files that can be used: said once for all files of a data set, and kept for the next start."""

from __future__ import annotations

import logging
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from polygan import Fact, remembered

if TYPE_CHECKING:
    from polygan import DataSettings

_LOGGER = logging.getLogger("polygan")
_FULL = 32767 / 32768
_CLIPPED = 1e-3
"""Share of samples at full scale from which a file counts as clipped."""
_RUN = 3  # samples in a row at full scale; a single one may be a peak
_OFFSET = 0.02
"""Constant part of full scale that is named."""
_SECONDS = 1.0  # that tell a constant part; a drum is shorter
_NAMED = 3
LOUD, PHASE, CLIPPED, OFFSET = "beyond full scale", "channels out of phase", "clipped", "constant offset"
_WORDS = {
    LOUD: ("{} beyond full scale ({}), each scaled down to it", "reaches {:.2f}", "export {} at a lower level, or use --data.normalize peak"),
    PHASE: ("{} with channels that cancel each other out ({}), of which the louder channel alone is used", "", "turn one channel of {} upside down"),
    CLIPPED: ("{} clipped ({})", "{:.1%} of the samples at full scale", "export {} at a lower level, or leave them out"),
    OFFSET: ("{} with a constant offset ({})", "{:.1%} of full scale", "a high-pass filter at 20 Hz takes the offset out of {}"),
}  # fmt: skip


class Findings:
    """Files by what is odd with them. Threads that decode add to it; the last of them says it in one line for each kind."""

    def __init__(self, samples: int) -> None:
        """``samples``: how many will be decoded. Of an interrupted build, only the rest is."""
        self._samples, self._done, self._first = samples, 0, samples
        self._lock = Lock()
        self.found: dict[str, dict[str, float]] = {}

    def add(self, kind: str, name: str, value: float = 0.0) -> None:
        """Note a file, with the largest value of its pieces."""
        with self._lock:
            files = self.found.setdefault(kind, {})
            files[name] = max(value, files.get(name, value))

    def judge(self, name: str, waveform: np.ndarray, rate: int) -> None:
        """Note a stretch (T,) in [-1, 1] that is clipped or has a constant part."""
        full = np.abs(waveform) >= _FULL
        if full.any():
            runs = np.lib.stride_tricks.sliding_window_view(full, _RUN).all(1) if len(full) >= _RUN else full
            if (share := float(runs.mean())) > _CLIPPED:
                self.add(CLIPPED, name, share)
        if len(waveform) >= _SECONDS * rate and abs(mean := float(waveform.mean(dtype=np.float64))) > _OFFSET:
            self.add(OFFSET, name, abs(mean))

    def decoded(self, index: int) -> bool:
        """Note that a sample was decoded; whether it was the last one."""
        with self._lock:
            self._done, self._first = self._done + 1, min(self._first, index)
            return self._done == self._samples - self._first

    def tell(self) -> None:
        """One warning for each kind."""
        for kind, files in self.found.items():
            _LOGGER.warning("polygan: %s; %s", _told(kind, files), _WORDS[kind][2].format(_them(len(files))))

    def keep(self, settings: DataSettings, identity: str) -> None:
        """Keep what was found in the cache, for `known`."""
        remembered(settings, _key(identity), lambda: self.found)


def known(settings: DataSettings, identity: str) -> list[Fact]:
    """What was found when the data of this identity was decoded; nothing where it was not decoded yet."""

    def find() -> dict[str, dict[str, float]]:
        raise LookupError

    with suppress(LookupError, AttributeError, TypeError, ValueError):
        found = remembered(settings, _key(identity), find)
        return [Fact(kind, _told(kind, files)) for kind, files in found.items() if kind in _WORDS]
    return []


def _key(identity: str) -> str:
    return repr(("findings of sound", 1, identity))


def _told(kind: str, files: dict[str, float]) -> str:
    words, value, _ = _WORDS[kind]
    worst = sorted(files, key=lambda name: -files[name])[:_NAMED]
    shown = [f"{name} {value.format(files[name])}".rstrip() for name in worst] + (
        ["..."] if len(files) > _NAMED else []
    )
    return words.format(f"{len(files):,} {'file' if len(files) == 1 else 'files'}", ", ".join(shown))


def _them(count: int) -> str:
    return "the file" if count == 1 else "these files"
