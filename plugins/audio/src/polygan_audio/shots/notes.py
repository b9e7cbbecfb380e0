"""Notes by their names, and the pitch that is heard in a sound."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
import torchaudio.functional as AF

from ..networks.pitch import PitchTracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ALTERED = {"": 0, "#": 1, "s": 1, "b": -1}
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_NAMED = re.compile(r"([A-Ga-g])([#sb]?)(-1|\d)")
_NUMBERED = re.compile(r"(?:midi[-_ ]?)?(\d{1,3})", re.IGNORECASE)
_REPEATS = 0.85  # least correlation with itself of a sound that has a pitch
_SHORTEST = 16  # samples of the shortest period: coarser sampling makes a peak between two samples look low
_SECONDS = 0.064  # that are compared with themselves, or two periods of the lowest pitch if these are longer
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

    The median over `_FRAMES` cuts of the first half second behind the attack (`PitchTracker.in_cuts`). A cut counts if its loudness
    is within 30 dB of the loudest; half of these must repeat themselves.
    """
    tracker = PitchTracker(low, high, voiced=_REPEATS)
    finer = math.ceil(_SHORTEST * high / rate)
    sound = AF.resample(waveform.double()[: int(0.6 * rate) + int(8 * rate / low)], 1, finer)
    rate *= finer
    length = max(int(_SECONDS * rate), 2 * (int(rate / low) + 2))
    size = tracker.cut_size(length, rate)
    sound = sound[int(0.02 * rate) :][: max(rate // 2, size + length)]
    if len(sound) < size:
        sound = F.pad(sound, (0, size - len(sound)))
    starts = torch.linspace(0, len(sound) - size, _FRAMES).long()
    lag, voiced, energy = tracker.in_cuts(torch.stack([sound[s : s + size] for s in starts.tolist()]), length, rate)
    heard = energy > energy.max() * 1e-3
    if energy.max() < 1e-10 or 2 * int((voiced & heard).sum()) < int(heard.sum()):
        return None
    return rate / float(lag[voiced & heard].median())
