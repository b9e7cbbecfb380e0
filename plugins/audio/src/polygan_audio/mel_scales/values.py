"""What the values of a mel alone tell of its scale, where no recording is at hand."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from polygan import DataError

from .scale import LN10

if TYPE_CHECKING:
    from torch import Tensor

    from ..networks.melspec import MelSpec

_LOGGER = logging.getLogger("polygan")
_BELOW = 1.5  # nats below silence that a network's mel may fall
_ABOVE = 0.5  # nats above the loudest sound
_FEW = 8  # frames that tell nothing
_FLOOR = 2e-3  # share of values at the smallest from which it is a limit


class Guess(NamedTuple):
    """What a mel's values say of its scale."""

    proven: bool
    """Whether no sound has these values on the front end's scale."""
    name: str
    """The likely scale; empty: not known."""
    numbers: tuple[float, float] | None = None
    """Mean and deviation that undo the likely scale, mel * deviation + mean; None where values alone do not tell them."""


def loudest(spec: MelSpec) -> float:
    """The largest value of a log-mel of sound in [-1, 1]: a spectrum is at most the sum of its window."""
    window = torch.hann_window(spec.win_length).sum()
    bound = float(spec.filters().sum(1).max() * window)
    return math.log(bound) if spec.log == "ln" else math.log10(bound)


def guess(mel: Tensor, spec: MelSpec) -> Guess | None:
    """The likely scale of a mel (n_mels, F) that is odd for the front end; None where nothing is odd."""
    unit = 1.0 if spec.log == "ln" else 1 / LN10
    low, high = float(mel.min()), float(mel.max())
    top = loudest(spec) + _ABOVE * unit
    mean, deviation = float(mel.mean()), float(mel.std(correction=0))
    limit = low if float((mel <= low + 1e-3 * (high - low)).float().mean()) > _FLOOR else None
    short = mel.shape[1] < _FEW or high - low < 1e-6
    if low < spec.silence - _BELOW * unit:
        return Guess(True, *_lower(low, high, mean, unit, top))
    if high > top:
        return Guess(True, *_higher(low, high, mean, unit))
    if short:
        return None
    if low >= 0:
        bounded = high <= 1 + 1e-3 and (limit is not None or mean > 0.2)
        return Guess(True, "normalised to [0, 1]" if bounded else "magnitudes or power without a logarithm")
    if limit is not None and min(abs(low + 4), abs(low + 1)) < 1e-2 and high <= -low + 1e-2:
        return Guess(False, f"normalised to [{low:.0f}, {-low:.0f}]")
    if abs(mean) < 0.5 and 0.6 < deviation < 1.6:
        return Guess(False, "normalised by mean and deviation")
    log10 = low > -5.1 and high < 1 and -4 < mean < -0.7
    return Guess(False, "log10", (0.0, LN10)) if spec.log == "ln" and log10 else None


def _lower(low: float, high: float, mean: float, unit: float, top: float) -> tuple[str, tuple[float, float] | None]:
    """The likely scale of values below silence."""
    if low < -24 or mean < -20:  # ln of 1e-10 is -23
        if abs(high) < 1e-3:  # librosa.power_to_db(ref=np.max)
            return "dB below the loudest of each file", None
        return "dB", (0.0, unit * LN10 / 20)
    if unit < 1 and high <= top * LN10:
        return "ln", (0.0, unit)
    return "a logarithm with a lower floor", (0.0, 1.0)


def _higher(low: float, high: float, mean: float, unit: float) -> tuple[str, tuple[float, float] | None]:
    """The likely scale of values above the loudest sound."""
    if low >= 0:
        return "magnitudes or power without a logarithm", None
    if high > 20:
        return "dB", (0.0, unit * LN10 / 20)
    if mean > 0 and high < 16 * unit:
        return "a logarithm of 16-bit integers", (-unit * math.log(32768), 1.0)
    if abs(mean) < 1:
        return "normalised by mean and deviation", None
    return "", None


class Watched:
    """Looks at mel files that are handed in: what cannot be a mel of the front end is refused, what is odd is said once."""

    def __init__(self, spec: MelSpec) -> None:
        self._spec, self._said = spec, False

    def look(self, mel: Tensor, name: str) -> None:
        """DataError where the values of the file ``name`` prove another scale, a warning where they look like one."""
        found = guess(mel, self._spec)
        if found is None or (self._said and not found.proven):
            return
        likely = f"; it looks {found.name}" if found.name else ""
        if found.name and not found.name.startswith(("normalised", "a ")):
            likely = f"; it looks like {found.name}"
        values = f"mel {name} has values from {float(mel.min()):.4g} to {float(mel.max()):.4g}"
        reads = f"{self._spec.log} of magnitudes, from {self._spec.silence:.4g} (silence) to about {loudest(self._spec):.2g}"
        if found.proven:
            raise DataError(f"{values}; this vocoder reads {reads}{likely}; {_remedy(found)}")
        self._said = True
        _LOGGER.warning("polygan: %s%s, and this vocoder reads %s; if so, %s", values, likely, reads, _remedy(found))


def _remedy(found: Guess) -> str:
    if found.numbers:
        mean, deviation = found.numbers
        return f"convert the folder: `polygan mels check MELS --normalised {mean:.6g} {deviation:.6g} --out CONVERTED`"
    return "compare with recordings: `polygan mels check MELS --data RECORDINGS --out CONVERTED`"
