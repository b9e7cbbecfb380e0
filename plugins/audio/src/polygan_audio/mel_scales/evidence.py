"""Given mels beside the spectra of their recordings: points that an affine map is fitted to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from ..networks.melspec import MelSpec

_MOST = 240  # frames of a recording that are looked at
_COMPARED = 400  # frames of all recordings that are compared, at even distances
_LEAST = 8
_EDGE = 5  # frames at both ends, whose windows see padding
_SOME = 5  # of so many bands one is looked at where some are enough
_TINY = 1e-10
_QUIET = 0.2  # share of the quietest points, where rounding of the recording counts
SHIFTS = (-2, -1, 0, 1, 2)
"""Frames by which mels are tried to be late."""


class Pair(NamedTuple):
    """A recording and its given mel, which begin together."""

    waveform: Tensor
    """(T,) in [-1, 1]."""
    mel: Tensor
    """(n_mels, F), of any scale."""


@dataclass(frozen=True)
class Kind:
    """What a mel may be made of: mel bands of magnitudes or of their squares, with or without a logarithm."""

    spec: MelSpec
    power: bool = False
    """Bands of squared magnitudes."""
    logged: bool = True
    """Whether a logarithm was taken."""


@dataclass(frozen=True)
class Map:
    """given = slope * ln(bands) + offset, by all bands, by band (n_mels, 1), or by file."""

    slope: np.ndarray
    offset: np.ndarray
    own: np.ndarray
    """Mean of the recording's ln bands that were compared."""
    given: np.ndarray
    """Mean of the given values that were compared."""
    residual: float
    """Typical difference from the map in nats of the recording's bands: a robust deviation, which half the points decide."""
    correlation: float

    @property
    def one(self) -> tuple[float, float]:
        """The medians of slope and offset."""
        return float(np.median(self.slope)), float(np.median(self.offset))


class Evidence:
    """Stretches of recordings and of their mels. Nothing can be said where there are no points (`empty`)."""

    def __init__(self, pairs: Iterable[Pair], hop: int) -> None:
        """``hop``: samples between frames. Recordings that are too short to be compared are left out."""
        self._pairs: list[tuple[Tensor, np.ndarray]] = []
        self._own: dict[Kind, list[np.ndarray]] = {}
        self._magnitudes: dict[tuple[object, ...], list[Tensor]] = {}
        for waveform, mel in pairs:
            frames = min(len(waveform) // hop, mel.shape[1])
            first = max(0, (frames - _MOST) // 2)
            last = min(frames, first + _MOST)
            if last - first >= _LEAST:
                given = mel[:, first:last].double().numpy()
                self._pairs.append((waveform[first * hop : last * hop].float(), given))
        self.values = np.concatenate([mel.ravel() for _, mel in self._pairs]) if self._pairs else np.zeros(0)
        """All given values."""

    def __len__(self) -> int:
        return len(self._pairs)

    def own(self, kind: Kind) -> list[np.ndarray]:
        """The natural logarithm of each recording's bands (n_mels, frames). ConfigError for a front end that cannot work."""
        key = dataclasses.replace(kind, logged=True)
        if key not in self._own:
            self._own[key] = [_bands(kind, magnitudes) for magnitudes in self._spectra(kind.spec)]
        return self._own[key]

    def _spectra(self, spec: MelSpec) -> list[Tensor]:
        """The magnitudes of each recording, which front ends with other bands share."""
        key = spec.n_fft, spec.win_length, spec.padding, spec.epsilon
        if key not in self._magnitudes:
            with torch.no_grad():
                self._magnitudes[key] = [spec.magnitudes(waveform) for waveform, _ in self._pairs]
        return self._magnitudes[key]

    def matched(self, kind: Kind, shift: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each file the recording's ln bands and the given mel, NaN where a point says nothing, both (n_mels, frames).

        Frame i of the recording stands beside frame i + ``shift`` of the mel. Points at a limit of the mel (a floor, a clipped top),
        and the quietest, say nothing.
        """
        found = []
        lows, highs = self._limits
        step = max(1, sum(mel.shape[1] for _, mel in self._pairs) // _COMPARED)
        for own, (_, mel) in zip(self.own(kind), self._pairs, strict=True):
            given = np.where((mel > lows) & (mel < highs), mel, np.nan)
            if not kind.logged:
                given = np.log(np.where(given > 0, given, np.nan))
            first, last = max(0, -shift), min(own.shape[1], mel.shape[1] - shift)
            edge = _EDGE if last - first > 4 * _EDGE else 0
            inside = slice(first + edge, last - edge, step)
            beside = slice(first + edge + shift, last - edge + shift, step)
            found.append((own[:, inside], given[:, beside]))
        return _without_quiet(found)

    @cached_property
    def _limits(self) -> tuple[float, float]:
        """Values at or beyond which many given values lie: a floor and a top; infinite where there are none."""
        low, high = float(self.values.min()), float(self.values.max())
        near = 1e-4 * (high - low)
        floor = (self.values <= low + near).mean() > 2e-3
        top = (self.values >= high - near).mean() > 5e-3
        return (low + near if floor else -np.inf), (high - near if top else np.inf)

    def fit(self, kind: Kind, shift: int = 0, by: str = "all") -> Map | None:
        """The map by ``all`` bands of all files together, by ``bands``, by ``some`` of the bands, or by ``files``.

        None where too few points say anything.
        """
        pairs = self.matched(kind, shift)
        if by == "files":
            groups = [(own.ravel(), given.ravel()) for own, given in pairs]
        else:
            own, given = (np.concatenate([pair[side] for pair in pairs], 1) for side in (0, 1))
            step = _SOME if by == "some" else 1
            groups = [(own.ravel(), given.ravel())] if by == "all" else [*zip(own[::step], given[::step], strict=True)]
        return _joined([_affine(*group) for group in groups], by)


class _Line(NamedTuple):
    numbers: tuple[float, float, float, float]
    """Slope, offset, and the means of the recording's and of the given values."""
    differences: np.ndarray
    correlation: float


def _bands(kind: Kind, magnitudes: Tensor) -> np.ndarray:
    bands = kind.spec.filters() @ (magnitudes.square() if kind.power else magnitudes)
    return bands.double().clamp(min=_TINY**2 if kind.power else _TINY).log().numpy()


def _without_quiet(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    if not pairs:
        return []
    heard = np.concatenate([own[np.isfinite(given)] for own, given in pairs])
    if not len(heard):
        return pairs
    least = max(float(np.quantile(heard, _QUIET)), float(heard.max()) - 14)
    return [(own, np.where(own >= least, given, np.nan)) for own, given in pairs]


def _affine(own: np.ndarray, given: np.ndarray) -> _Line | None:
    """given = slope * own + offset without outliers; the slope is the ratio of deviations, which blurred mels do not flatten."""
    usable = np.isfinite(given)
    own, given = own[usable], given[usable]
    kept = np.ones(len(own), bool)
    slope, offset, differences = 1.0, 0.0, np.zeros(0)
    for _ in range(3):
        x, y = own[kept], given[kept]
        if len(x) < 20:
            return None
        if (spread := float(x.std())) < 1e-3 or (wide := float(y.std())) < 1e-9:
            return None
        slope = wide / spread
        offset = float(y.mean() - slope * x.mean())
        differences = (given - offset) / slope - own
        beside = np.abs(differences - np.median(differences))
        kept = beside <= 3 * 1.4826 * np.median(beside) + 1e-6
    x, y = own[kept], given[kept]
    correlation = float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else 0.0
    return _Line((slope, offset, float(x.mean()), float(y.mean())), differences, correlation)


def _joined(lines: Sequence[_Line | None], by: str) -> Map | None:
    found = [line for line in lines if line]
    if not found or (by in ("bands", "some") and 2 * len(found) < len(lines)):
        return None
    usual = np.median([line.numbers for line in found], 0)
    numbers = np.array([line.numbers if line else usual for line in lines])  # (lines, 4)
    slope, offset, own, given = (numbers[:, i : i + 1] for i in range(4))
    differences = np.concatenate([line.differences for line in found])
    return Map(
        slope,
        offset,
        own,
        given,
        1.4826 * float(np.median(np.abs(differences))),
        float(np.median([line.correlation for line in found])),
    )
