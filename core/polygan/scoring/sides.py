"""What a log says about the two sides of a game: how a discriminator judges real and generated samples."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Values = Mapping[str, object]

R_T_TARGET = 0.6
"""The r_t that adaptive augmentation aims at (Karras et al. 2020, section 3); above this value the discriminator overfits."""
GAP = 0.3
"""Above this `overfitting_signal`, the discriminator treats held-out samples unlike training samples."""


class Side(NamedTuple):
    """What a turn logged about its discriminator (`Context.observe_logits`); None where the value is missing."""

    turn: str
    r_t: float | None
    """The share of real samples with a positive logit, less the share with a negative logit."""
    accuracy: float | None
    """The mean of the shares of real and of fake samples that are told right."""

    @property
    def fakes_called_real(self) -> float | None:
        """The share of fakes with a positive logit, which follows from ``r_t`` and ``accuracy``."""
        if self.r_t is None or self.accuracy is None:
            return None
        return min(max((3 + self.r_t) / 2 - 2 * self.accuracy, 0.0), 1.0)

    @property
    def blind(self) -> str:
        """``"real"`` or ``"fake"``: what the discriminator calls nearly every sample, real or not; empty if it looks at them."""
        fakes = self.fakes_called_real
        if self.r_t is None or fakes is None:
            return ""
        if self.r_t > R_T_TARGET and fakes > 0.5:
            return "real"
        return "fake" if self.r_t < -R_T_TARGET and fakes < 0.5 else ""

    @property
    def guesses(self) -> bool:
        """Whether the discriminator tells hardly more samples apart than a coin would."""
        return self.accuracy is not None and self.accuracy < 0.55

    def sure(self, gap: float | None) -> bool:
        """Whether real samples get positive logits because they are known, as far as the gap of held-out samples tells."""
        return self.r_t is not None and self.r_t > R_T_TARGET and not self.blind and (gap is None or gap > GAP)

    def ahead(self, gap: float | None) -> bool:
        """Whether the discriminator tells nearly all samples apart, held-out samples too."""
        held_out_too = self.r_t is not None and self.r_t > R_T_TARGET and not self.blind and not self.sure(gap)
        return held_out_too or (self.accuracy is not None and self.accuracy > 0.98)


def sides_of(window: Sequence[Values]) -> list[Side]:
    """The sides of each turn that logged ``r_t`` or ``accuracy``, as means over the logged values."""
    names = {k.rpartition("/")[0] for values in window for k in values if k.endswith(("/r_t", "/accuracy"))}
    sides = [
        Side(turn, _within(mean(window, f"{turn}/r_t"), -1), _within(mean(window, f"{turn}/accuracy"), 0))
        for turn in sorted(names)
    ]
    return [side for side in sides if side[1:] != (None, None)]


def _within(value: float | None, least: float) -> float | None:
    """The value if it lies in [least, 1], as shares do, up to rounding."""
    return value if value is not None and least - 0.001 <= value <= 1.001 else None


def number(value: object) -> float | None:
    """A finite number; None for anything else."""
    return value if isinstance(value, int | float) and abs(value) <= sys.float_info.max else None


def mean(window: Sequence[Values], name: str) -> float | None:
    """The mean of the finite values of a name; None if there are none."""
    values = [n for v in window if (n := number(v.get(name))) is not None]
    return sum(values) / len(values) if values else None
