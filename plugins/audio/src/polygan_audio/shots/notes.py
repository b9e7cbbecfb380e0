"""Notes by their names, and the pitch that is heard in a sound."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ALTERED = {"": 0, "#": 1, "s": 1, "b": -1}
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_NAMED = re.compile(r"([A-Ga-g])([#sb]?)(-1|\d)")
_NUMBERED = re.compile(r"(?:midi[-_ ]?)?(\d{1,3})", re.IGNORECASE)
_HARMONIC = 0.15  # of a dip of YIN's difference function, de Cheveigne and Kawahara 2002, step 4
_FRAMES = 9


def midi_of(name: str) -> int | None:
    """The MIDI number in [0, 127] of ``C4``, ``F#3``, ``Bb2``, ``midi60`` or ``60`` (C4 is 60); None for other names."""
    if named := _NAMED.fullmatch(name.strip()):
        step, altered, octave = named.groups()
        number = 12 * (int(octave) + 1) + _STEPS[step.upper()] + _ALTERED[altered]
    elif numbered := _NUMBERED.fullmatch(name.strip()):
        number = int(numbered[1])
    else:
        return None
    return number if 0 <= number <= 127 else None


def name_of(midi: int) -> str:
    """The name of a MIDI number: 60 is ``C4``, 61 is ``C#4``."""
    return f"{_NAMES[midi % 12]}{midi // 12 - 1}"


def hertz_of(midi: float) -> float:
    """The frequency of a MIDI number in Hz; 69 is 440 Hz."""
    return 440 * 2 ** ((midi - 69) / 12)


def notes_of(classes: Sequence[str]) -> tuple[int, ...]:
    """The MIDI numbers of classes that are all notes; empty where a class is no note, and where there are no classes.

    Folders that are called 0 to 9 are more often digits than the lowest notes: bare numbers count from 12 on.
    """
    numbers = [midi_of(name) for name in classes]
    if any(
        number is None or (name.strip().isdecimal() and number < 12)
        for name, number in zip(classes, numbers, strict=True)
    ):
        return ()
    return tuple(number for number in numbers if number is not None)


def pitch_of(waveform: Tensor, rate: int, low: float, high: float) -> float | None:
    """The fundamental frequency in Hz of a sound (T,), between ``low`` and ``high`` Hz; None where no period is found.

    YIN (de Cheveigne & Kawahara 2002, "YIN, a fundamental frequency estimator", steps 1 to 5): the median over `_FRAMES` frames of
    the first half second behind the attack. A frame counts if its loudness is within 30 dB of the loudest.
    """
    longest = int(rate / low) + 2
    size = max(1024, 2 * longest)
    sound = waveform.double()[int(0.02 * rate) :][: max(rate // 2, 2 * size)]
    if len(sound) < size + longest:
        sound = F.pad(sound, (0, size + longest - len(sound)))
    starts = torch.linspace(0, len(sound) - size - longest, _FRAMES).long()
    frames = torch.stack([sound[s : s + size + longest] for s in starts.tolist()])  # (_FRAMES, size + longest)
    power = frames.square().mean(1)
    heard = frames[power > power.max() * 1e-3]
    if not len(heard) or power.max() < 1e-10:
        return None
    periods = [p for row in _differences(heard, size, longest) if (p := _period(row, rate / high)) is not None]
    return rate / float(torch.tensor(periods).median()) if 2 * len(periods) >= len(heard) else None


def _differences(frames: Tensor, size: int, longest: int) -> Tensor:
    """(n, longest + 1): the cumulative mean normalised difference of frames (n, size + longest) (eq. 6 and 8)."""
    squares = F.pad(frames.square().cumsum(1), (1, 0))
    energy = squares[:, size : size + longest + 1] - squares[:, : longest + 1]  # of the frame from each lag on
    length = frames.shape[1] + size
    spectrum = torch.fft.rfft(frames, length) * torch.fft.rfft(frames[:, :size], length).conj()
    same = torch.fft.irfft(spectrum, length)[:, : longest + 1]
    d = (energy[:, :1] + energy - 2 * same).clamp(min=0)
    mean = d[:, 1:].cumsum(1) / torch.arange(1, longest + 1)
    return F.pad(d[:, 1:] / mean.clamp(min=1e-12), (1, 0), value=1.0)


def _period(difference: Tensor, shortest: float) -> float | None:
    """The period in samples: the bottom of the first dip below the threshold, refined by a parabola (steps 4 and 5)."""
    first = max(2, int(shortest))
    below = torch.nonzero(difference[first:-1] < _HARMONIC)
    if not len(below):
        return None
    at = first + int(below[0])
    while at + 1 < len(difference) - 1 and difference[at + 1] < difference[at]:
        at += 1
    before, here, after = difference[at - 1 : at + 2].tolist()
    bend = before - 2 * here + after
    return at + (0.5 * (before - after) / bend if bend > 0 else 0.0)
