"""The named sets: sound that is made up on the spot, by seed, and a user's own kits of short sounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polygan import ConfigError, DataError, Field, mix

from .base import SoundSource
from .domain import AudioDomain
from .facts import SourceFacts
from .one_shots import SECONDS, classes_of_kind, one_shot

if TYPE_CHECKING:
    from polygan import Source

    from .settings import ShotsSettings, TonesSettings

_KINDS = ("note", "note", "chord", "chirp", "clicks")
_RATE = 16_000


class ToneSource(SoundSource):
    """Clip i is a pure function of (``tones_seed``, i) and the sample rate: 1 to 2 s of `_KINDS`, or 1 s of a class.

    The classes of ``drums`` and ``notes`` come in turn, in the field ``label``.
    """

    def __init__(self, settings: TonesSettings) -> None:
        for name, off in (("mels", ""), ("normalize", "none"), ("trim", 0), ("speakers", "none"), ("parallel", "")):
            if getattr(settings, name) != off:
                raise ConfigError(
                    f"data.{name} = {getattr(settings, name)!r} is for recordings; the set tones has none"
                )
        self._tones, rate = settings, settings.sample_rate or _RATE
        self.settings = settings
        self._classes = classes_of_kind(settings.kind)
        lengths = [
            round(SECONDS * rate) if self._classes else int(_random(settings, i).uniform(1, 2) * rate)
            for i in range(settings.size)
        ]
        short = np.array(lengths) < settings.segment
        self._rows = [i for i in range(settings.size) if settings.short == "pad" or not short[i]]
        facts, more = SourceFacts(tones=settings.size), {"label": Field("int64", ())} if self._classes else {}
        self._describe(settings, rate, sum(lengths) / rate, int(short.sum()), facts, more, longest=max(lengths))
        if self._classes:
            self.info["classes"] = list(self._classes)
        self._refuse_empty(len(self._rows), rate)

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """The clip's number."""
        return f"tones clip {self._rows[index]}"

    def fingerprint(self) -> str:
        """The settings that the clips depend on."""
        return self._fingerprint("tones", self._tones.size, self._tones.tones_seed, self._tones.short)

    def decode(self, index: int) -> dict[str, np.ndarray]:
        """``waveform`` int16 (T,), and ``label`` int64 where there are classes."""
        rng, rate = _random(self._tones, self._rows[index]), self.info["sample_rate"]
        if self._classes:
            return self._labelled(rng, self._rows[index] % len(self._classes), rate)
        frames = int(rng.uniform(1, 2) * rate)
        kind = _KINDS[rng.integers(len(_KINDS))]
        waveform = _sound(kind, rng, np.arange(frames) / rate, rate)
        waveform += rng.normal(0, 10 ** rng.uniform(-4, -3), frames)  # a recording's hiss, -80 to -60 dB
        peak = rng.uniform(0.3, 0.9)
        return {"waveform": self._int16((peak * waveform / np.abs(waveform).max()).astype(np.float32))}

    def _labelled(self, rng: np.random.Generator, label: int, rate: int) -> dict[str, np.ndarray]:
        waveform = one_shot(self._classes[label], rng, np.arange(round(SECONDS * rate)) / rate, rate)
        peak = rng.uniform(0.5, 0.95)
        sound = self._int16((peak * waveform / np.abs(waveform).max()).astype(np.float32))
        return {"waveform": sound, "label": np.asarray(label, np.int64)}


def tones(settings: TonesSettings) -> Source:
    """``size`` clips of notes with harmonics and decaying envelopes, chirps, and clicks with bursts of noise.

    With ``kind`` drums or notes: short sounds of one class each.
    """
    return ToneSource(settings)


def shots(settings: ShotsSettings) -> Source:
    """The short sounds below ``settings.kits``, a folder for each class; sounds without folders have no class.

    DataError where no folder is named.
    """
    if not settings.kits:
        raise DataError(
            "the set shots is your own folder: name it with --data.kits FOLDER, with a folder for each class in it"
        )
    place = Path(settings.kits).expanduser()
    flat = place.is_dir() and not any(path.is_dir() for path in place.iterdir())
    speakers = "none" if flat else settings.speakers
    return AudioDomain().open(replace(settings, source=settings.kits, speakers=speakers))


def _random(settings: TonesSettings, index: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=mix(settings.tones_seed, 4, index)))


def _sound(kind: str, rng: np.random.Generator, time: np.ndarray, rate: int) -> np.ndarray:
    """(T,) float64 at ``time`` (T,) in seconds."""
    if kind == "chirp":
        low, high = np.sort(rng.uniform(80, 0.45 * rate, 2))
        begin, end = (low, high) if rng.random() < 0.5 else (high, low)
        # Exponential sweep: the integral of begin * (end / begin)^(t / T).
        slope = np.log(end / begin) / time[-1]
        phase = 2 * np.pi * begin * np.expm1(slope * time) / slope
        return np.sin(phase) * np.minimum(1, np.minimum(time, time[-1] - time) / 0.02)
    if kind == "clicks":
        waveform = np.zeros(len(time))
        for at in rng.uniform(0, 0.9 * time[-1], rng.integers(3, 9)):
            decay = 10 ** rng.uniform(-2.5, -1)  # seconds
            after = np.maximum(time - at, 0)
            waveform += (time >= at) * np.exp(-after / decay) * rng.normal(0, 1, len(time))
        return waveform
    waveform, start = np.zeros(len(time)), 0.0
    while start < time[-1]:  # notes one after the other, one or three at a time
        root = 440 * 2 ** ((rng.integers(40, 77) - 69) / 12)
        length = rng.uniform(0.25, 0.8)
        for ratio in (1, 2 ** (4 / 12), 2 ** (7 / 12)) if kind == "chord" else (1,):
            waveform += _note(rng, time - start, root * ratio, length, rate)
        start += length
    return waveform


def _note(rng: np.random.Generator, time: np.ndarray, pitch: float, length: float, rate: int) -> np.ndarray:
    """Harmonics below half the rate that fall off and decay, higher ones faster; 5 ms of attack, 20 ms of release."""
    inside = (time >= 0) & (time < length)
    t = time[inside]
    tilt, decay = rng.uniform(0.8, 2), rng.uniform(1.5, 6)
    note = np.zeros(len(t))
    for k in range(1, min(24, int(0.48 * rate / pitch)) + 1):
        note += k**-tilt * np.exp(-decay * k**0.5 * t) * np.sin(2 * np.pi * k * pitch * t + rng.uniform(0, 2 * np.pi))
    waveform = np.zeros(len(time))
    waveform[inside] = note * np.minimum(1, np.minimum(t / 0.005, (length - t) / 0.02))
    return waveform
