"""Several listeners of a trainer as one listener."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..training.trainer import Listener

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..training.trainer import Trainer


class Listeners(Listener):
    """Tells several listeners about each event, in order. The first score that a listener returns counts."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.listeners = listeners

    def logged(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        """Tell all."""
        for listener in self.listeners:
            listener.logged(trainer, values)

    def sample(self, trainer: Trainer) -> None:
        """Tell all."""
        for listener in self.listeners:
            listener.sample(trainer)

    def evaluate(self, trainer: Trainer) -> float | None:
        """Tell all, and return the first score."""
        scores = [listener.evaluate(trainer) for listener in self.listeners]
        return next((score for score in scores if score is not None), None)

    def evaluated(self, trainer: Trainer, score: float) -> None:
        """Tell all."""
        for listener in self.listeners:
            listener.evaluated(trainer, score)

    def saved(self, trainer: Trainer, path: Path) -> None:
        """Tell all."""
        for listener in self.listeners:
            listener.saved(trainer, path)

    def diverged(self, trainer: Trainer, message: str) -> None:
        """Tell all."""
        for listener in self.listeners:
            listener.diverged(trainer, message)
