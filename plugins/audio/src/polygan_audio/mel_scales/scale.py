"""The name of a scale, how its values become those that a front end reads, and whether a recipe can be trained on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..networks.melspec import PRESETS
from .evidence import Evidence, Kind
from .search import Explained, explain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from ..networks.melspec import MelSpec
    from .evidence import Pair

LN10 = math.log(10)
_MAGNITUDES = {"ln": 1.0, "log10": 1 / LN10, "log2": 1 / math.log(2), "dB": 20 / LN10}
_POWER = {"ln of the power": 1.0, "log10 of the power": 1 / LN10, "dB of the power": 10 / LN10}
_INTEGERS = math.log(32768)
_RANGES = ((-4.0, 4.0), (-1.0, 1.0), (0.0, 1.0), (0.0, 4.0))
_DECIBELS = (80, 100, 115, 120)  # that such a range stands for
_LIKE = 0.6
"""Correlation below which a mel is not of the recording."""
_SURE = 0.8
"""Correlation from which a scale is known for certain."""
_LOUDER = 0.35  # nats, 3 dB
_CLOSE = 0.1  # nats within which the mels of each file follow their recording
_NAMES = ("n_fft", "win_length", "fmin", "fmax", "padding", "scale", "norm")


@dataclass(frozen=True)
class Scale:
    """The scale of given mels, found beside the mels of their recordings by the front end ``spec``."""

    spec: MelSpec
    found: Explained
    name: str
    """``ln``, ``log10``, ``dB``, ``normalised to [-4, 4]``, ...; empty: not known."""
    slope: np.ndarray
    """given = slope * ln(bands) + offset, (1, 1), by band (n_mels, 1) or by file (files, 1): of the scale's name where it has one."""
    offset: np.ndarray
    gain: np.ndarray
    """Nats by which the mels are louder than the recordings; 0 where a scale has its own offset."""
    files: int
    """Recordings that were compared."""

    @property
    def known(self) -> bool:
        """Whether the mels are like those of the recordings at all."""
        return self.found.map.correlation >= _LIKE

    @property
    def sure(self) -> bool:
        """Whether the scale is beyond doubt."""
        return self.found.map.correlation >= _SURE

    @property
    def right(self) -> bool:
        """Whether the scale is the front end's, the gain aside."""
        return self.name == self.spec.log and abs(float(np.median(self.gain))) < _INTEGERS / 2

    @property
    def numbers(self) -> tuple[float, float] | None:
        """Mean and deviation that undo the scale: mel * deviation + mean; None where two numbers do not."""
        kind, by = self.found.kind, self.found.by
        if not kind.logged or kind.power or by != "all":
            return None
        unit = 1 / LN10 if self.spec.log == "log10" else 1.0
        slope, offset, gain = (float(x[0, 0]) for x in (self.slope, self.offset, self.gain))
        louder = gain if abs(gain) > _INTEGERS / 2 else 0.0
        return -unit * (offset / slope + louder) + 0.0, unit / slope

    @property
    def other_front_end(self) -> str:
        """The numbers of a front end that fit these mels better than ours: ``fmax 11025 instead of 8000``; empty: ours fit best."""
        theirs, ours = self.found.kind.spec, self.spec
        pairs = [(n, getattr(theirs, n), getattr(ours, n)) for n in _NAMES if n != "fmax"]
        pairs.insert(3, ("fmax", theirs.top, ours.top))
        return ", ".join(f"{n} {_shown(a)} instead of {_shown(b)}" for n, a, b in pairs if a != b)

    @property
    def convertible(self) -> bool:
        """Whether frames stay where they are and bands keep their frequencies: only then values can be converted."""
        theirs, ours = self.found.kind.spec, self.spec
        names = ("n_fft", "win_length", "fmin", "top", "scale")
        return self.known and all(getattr(theirs, n) == getattr(ours, n) for n in names)

    def preset(self) -> str:
        """The options of the preset whose front end these mels are: ``--model.mel vocos``; empty: there is none."""
        theirs = self.found.kind
        if theirs.power or not theirs.logged or self.found.by != "all" or self.found.shift:
            return ""
        for name, preset in PRESETS.items():
            same = all(getattr(preset, n) == getattr(theirs.spec, n) for n in ("padding", "scale", "norm"))
            if same and preset.log == self.name:
                top = theirs.spec.top != min(preset.fmax or math.inf, theirs.spec.sample_rate / 2)
                own = {n: getattr(theirs.spec, n) for n in ("n_fft", "win_length", "hop_length", "n_mels", "fmin")}
                numbers = {n: v for n, v in own.items() if v != getattr(preset, n)}
                numbers |= {"fmax": theirs.spec.top} if top else {}
                return " ".join([f"--model.mel {name}", *(f"--model.{n} {_shown(v)}" for n, v in numbers.items())])
        return ""

    def said(self) -> str:
        """The scale in words: ``log10 (given = 0.434 x ln + 0)``."""
        kind = self.found.kind
        if not self.known:
            return "nothing like the mels of these recordings"
        slope, offset = float(np.median(self.slope)), float(np.median(self.offset))
        what = "power" if kind.power else "magnitude"
        told = f"given = {told_map(slope, offset, f'ln({what})') if kind.logged else what}"
        more = {"all": "", "bands": ", medians of the bands", "files": ", medians of the files"}[self.found.by]
        return f"{self.name or 'on a scale of their own'} ({told}{more})"


def told_map(slope: float, offset: float, of: str) -> str:
    """``0.4343 x ln(magnitude) + 0``."""
    offset = round(offset, 4)
    return f"{slope:.4g} x {of} {'-' if offset < 0 else '+'} {abs(offset):.3g}"


def scale_of(pairs: Iterable[Pair], spec: MelSpec) -> Scale | None:
    """The scale of given mels whose recordings are known. None where the recordings are silent or too short to tell."""
    evidence = Evidence(pairs, spec.hop_length)
    found = explain(evidence, spec) if len(evidence) else None
    return _named(_by_loudness(found, evidence), evidence, spec) if found else None


def _by_loudness(found: Explained, evidence: Evidence) -> Explained:
    """A common map, or by file where files differ in loudness alone: a robust fit passes over a few louder files."""
    fit = evidence.fit(found.kind, found.shift, "files") if found.by == "all" and len(evidence) > 1 else None
    if fit is None or fit.residual > _CLOSE or float(np.ptp(fit.slope)) > 0.05 * fit.one[0]:
        return found
    louder = fit.given / found.map.one[0] - fit.own
    return found._replace(by="files", map=fit) if float(np.ptp(louder)) > _LOUDER else found


def loudness(scale: Scale) -> str:
    """How much louder or quieter mels are than their recordings: ``6.0 dB louder``; empty: less than 3 dB."""
    least, usual, most = (float(f(scale.gain)) for f in (np.min, np.median, np.max))
    if max(abs(least), abs(most)) < _LOUDER:
        return ""
    if most - least > _LOUDER:
        return (
            f"they are {least * 20 / LN10:+.1f} to {most * 20 / LN10:+.1f} dB louder than the recordings, file by file"
        )
    return f"they are {abs(usual) * 20 / LN10:.1f} dB {'louder' if usual > 0 else 'quieter'} than the recordings"


def _named(found: Explained, evidence: Evidence, spec: MelSpec) -> Scale:
    fit, power = found.map, found.kind.power
    known = _POWER if power else _MAGNITUDES
    near = min(known, key=lambda name: abs(math.log(fit.one[0] / known[name])))
    room = 0.02 + 0.5 * min(fit.residual, 0.25)
    close = bool((np.abs(np.log(fit.slope / known[near])) < room).all())
    # At the middle of the points, where the slope's error does not count.
    gain = (fit.given / known[near] - fit.own) / (2 if power else 1)
    plain, zero = np.full_like(fit.slope, known[near]), np.zeros_like(fit.offset)
    usual = float(np.median(gain))
    if not found.kind.logged and abs(fit.one[0] - 1) < 0.1:
        name = "the power without a logarithm" if power else "magnitudes without a logarithm"
        return Scale(spec, found, name, np.ones_like(plain), zero, gain, len(evidence))
    if found.by == "files" and close:
        name = near if near == spec.log else f"{near}, each file by its own loudness"
        return Scale(spec, found, name, plain, zero, gain, len(evidence))
    if found.by == "all" and close and (abs(usual) < 1.5 or abs(usual - _INTEGERS) < 1):
        return Scale(
            spec, found, near if abs(usual) < 1.5 else f"{near} of 16-bit integers", plain, zero, gain, len(evidence)
        )
    nothing = np.zeros_like(gain)
    return Scale(spec, found, _normalised(found, evidence.values), fit.slope, fit.offset, nothing, len(evidence))


def _normalised(found: Explained, values: np.ndarray) -> str:
    if found.by == "bands":
        return "normalised by mean and deviation, band by band"
    if found.by == "files":
        return "normalised by mean and deviation, file by file"
    low, high = float(values.min()), float(values.max())
    for least, most in _RANGES:
        inside = low >= least - 1e-3 and high <= most + 1e-3
        slopes = [20 / LN10 * (most - least) / decibels for decibels in _DECIBELS]
        near = min(abs(math.log(found.map.one[0] / slope)) for slope in slopes) < 0.05
        if inside and (near or (values <= least + 1e-3).mean() > 1e-3):
            return f"normalised to [{least:g}, {most:g}]"
    if abs(float(values.mean())) < 0.5 and 0.6 < float(values.std()) < 1.5:
        return "normalised by mean and deviation"
    return ""


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


class Converter:
    """Turns given mels into those that a front end reads."""

    def __init__(self, scale: Scale, evidence: Evidence) -> None:
        """``evidence``: recordings that tell how bands of power or of filters of another height differ from ours, on average."""
        self.scale, kind = scale, scale.found.kind
        self.shift = scale.found.shift
        self._power = 2.0 if kind.power else 1.0
        own, theirs = evidence.own(Kind(scale.spec)), evidence.own(kind)
        frames = [min(o.shape[1], t.shape[1]) for o, t in zip(own, theirs, strict=True)]
        gaps = np.concatenate(
            [o[:, :n] - t[:, :n] / self._power for n, o, t in zip(frames, own, theirs, strict=True)], 1
        )
        self._gap = np.median(gaps, 1, keepdims=True) if kind != Kind(scale.spec) else 0.0

    def __call__(self, mel: Tensor, fit: tuple[float, float] | None = None) -> Tensor:
        """(n_mels, F) of the scale to (n_mels, F) as `Scale.spec` makes it. ``fit``: slope and offset of this file, where files have their own."""
        given = mel.double().numpy()
        if not self.scale.found.kind.logged:
            bands = np.log(np.maximum(given, 1e-20))
        else:
            slope, offset = fit or (self.scale.slope, self.scale.offset)
            bands = (given - offset) / slope
        gain = 0.0 if fit else float(np.median(self.scale.gain))
        bands = bands / self._power - (gain if abs(gain) > _LOUDER / 3 else 0.0) + self._gap
        return self._of_ours(np.roll(bands, -self.shift, 1) if self.shift else bands)

    def _of_ours(self, bands: np.ndarray) -> Tensor:
        spec = self.scale.spec
        if self.shift > 0:
            bands[:, -self.shift :] = math.log(spec.floor)
        elif self.shift < 0:
            bands[:, : -self.shift] = math.log(spec.floor)
        found = np.maximum(bands, math.log(spec.floor))
        return torch.from_numpy(found / LN10 if spec.log == "log10" else found).float()
