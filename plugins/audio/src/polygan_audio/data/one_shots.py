"""Made-up short sounds with labels: drum hits by their kind, and notes by their pitch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..shots.notes import hertz_of, name_of

if TYPE_CHECKING:
    from collections.abc import Callable

DRUMS = ("hat", "kick", "snare")
LOWEST, NOTES = 48, 24
"""The first MIDI number, and how many notes follow each other: C3 to B4."""
SECONDS = 1.0
"""Length of each sound."""


def classes_of_kind(kind: str) -> tuple[str, ...]:
    """The names of the classes of ``drums`` or ``notes``, sorted; empty for other kinds."""
    if kind == "drums":
        return DRUMS
    return tuple(sorted(name_of(LOWEST + i) for i in range(NOTES))) if kind == "notes" else ()


def one_shot(name: str, rng: np.random.Generator, time: np.ndarray, rate: int) -> np.ndarray:
    """(T,) float64 of a class at ``time`` (T,) in seconds; the sound begins with the first sample."""
    if name in DRUMS:
        return _DRUM[name](rng, time, rate)
    midi = next(LOWEST + i for i in range(NOTES) if name_of(LOWEST + i) == name)
    return _note(rng, time, hertz_of(midi), rate)


def _kick(rng: np.random.Generator, time: np.ndarray, rate: int) -> np.ndarray:
    """A sine that falls from 120-220 Hz to 40-70 Hz, with a click at the beginning."""
    low, high, fall = rng.uniform(40, 70), rng.uniform(120, 220), rng.uniform(0.02, 0.06)
    phase = 2 * np.pi * (low * time + (high - low) * fall * -np.expm1(-time / fall))
    click = rng.normal(0, 1, len(time)) * np.exp(-time / 0.003)
    return np.sin(phase) * np.exp(-time / rng.uniform(0.08, 0.25)) + rng.uniform(0.1, 0.5) * click


def _snare(rng: np.random.Generator, time: np.ndarray, rate: int) -> np.ndarray:
    """Two tones of a drumhead at 160-240 Hz and 1.6 times that, under noise that decays more slowly."""
    pitch, decay = rng.uniform(160, 240), rng.uniform(0.04, 0.09)
    head = (np.sin(2 * np.pi * pitch * time) + 0.6 * np.sin(2 * np.pi * 1.6 * pitch * time)) * np.exp(-time / decay)
    wires = _band(rng.normal(0, 1, len(time)), rate, 900, 0.45 * rate) * np.exp(-time / rng.uniform(0.06, 0.18))
    return rng.uniform(0.4, 0.9) * head + rng.uniform(0.5, 1) * wires


def _hat(rng: np.random.Generator, time: np.ndarray, rate: int) -> np.ndarray:
    """Noise from a third of half the rate on, closed (short) or open (long)."""
    decay = rng.uniform(0.015, 0.04) if rng.random() < 0.6 else rng.uniform(0.1, 0.3)
    return _band(rng.normal(0, 1, len(time)), rate, rng.uniform(0.28, 0.36) * rate, 0.5 * rate) * np.exp(-time / decay)


def _note(rng: np.random.Generator, time: np.ndarray, pitch: float, rate: int) -> np.ndarray:
    """Harmonics below half the rate that fall off and decay, higher ones faster; 3 to 30 ms of attack, 50 ms of release."""
    tilt, decay, attack = rng.uniform(0.8, 2), rng.uniform(1.5, 5), 10 ** rng.uniform(-2.5, -1.5)
    sound = np.zeros(len(time))
    for k in range(1, min(24, int(0.48 * rate / pitch)) + 1):
        sound += (
            k**-tilt * np.exp(-decay * k**0.5 * time) * np.sin(2 * np.pi * k * pitch * time + rng.uniform(0, 2 * np.pi))
        )
    return sound * np.minimum(1, np.minimum(time / attack, (SECONDS - time) / 0.05))


def _band(noise: np.ndarray, rate: int, low: float, high: float) -> np.ndarray:
    """Noise (T,) between two frequencies in Hz, with edges of a fifth of the lower one; the power of each bin stays."""
    hertz = np.fft.rfftfreq(len(noise), 1 / rate)
    rise, fall = (hertz - low) / (0.2 * low) + 0.5, (high - hertz) / (0.2 * low) + 0.5
    return np.fft.irfft(np.fft.rfft(noise) * np.clip(np.minimum(rise, fall), 0, 1), len(noise))


_DRUM: dict[str, Callable[[np.random.Generator, np.ndarray, int], np.ndarray]] = {
    "hat": _hat,
    "kick": _kick,
    "snare": _snare,
}
