"""The other networks of a run that samples can be made from: the best checkpoint, and networks that a recipe names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import ConfigError
from ...training.checkpoint import Checkpoints

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn


def best_step(folder: Path) -> int:
    """The step of the run's checkpoint with the best score. Raises ConfigError if no checkpoint has a score."""
    entries = Checkpoints(folder / "checkpoints").entries()
    scored = [(entry.score, -entry.step) for entry in entries if entry.score is not None and not entry.foreign]
    if not scored:
        raise ConfigError(
            f"of = 'best': no checkpoint of {folder} has a score; train with --evaluate_every N, or name a checkpoint with --step"
        )
    return -min(scored)[1]


def swapped(networks: Mapping[str, nn.Module], stands_in: Mapping[str, str]) -> dict[str, nn.Module]:
    """The networks, with other networks (or parts of networks, ``name.part``) in the place of some."""
    found = dict(networks)
    for name, path in stands_in.items():
        network, _, part = path.partition(".")
        found[name] = networks[network].get_submodule(part)
    return found
