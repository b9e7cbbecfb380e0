"""An evaluation whose generated samples are made by a function, so that scores can be tested on samples of known faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from polygan import Evaluation, Samples


@dataclass
class Faked(Evaluation):
    """``make(n, seed)`` takes the place of networks."""

    make: Callable[[int, int], Samples] | None = None
    sides = None  # no recipe is asked

    def given(self, n, start=0):
        return None  # `make` takes nothing

    def generate(self, n, seed, options=None, *, networks=None, given=None):
        return self.make(n, seed)
