"""The other networks of a run that samples can be made from: the checkpoint with the best score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import ConfigError
from ...training.checkpoint import Checkpoints

if TYPE_CHECKING:
    from pathlib import Path


def best_step(folder: Path) -> int:
    """The step of the run's checkpoint with the best score. Raises ConfigError if no checkpoint has a score."""
    entries = Checkpoints(folder / "checkpoints").entries()
    scored = [(entry.score, -entry.step) for entry in entries if entry.score is not None and not entry.foreign]
    if not scored:
        raise ConfigError(
            f"of = 'best': no checkpoint of {folder} has a score; train with --evaluate_every N, or name a checkpoint with --step"
        )
    return -min(scored)[1]
