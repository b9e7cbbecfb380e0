"""What a metric may use, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import torch

    from ..data.domain import Domain, Samples
    from ..data.store import Split
    from ..game.recipe import Recipe


@dataclass(frozen=True)
class Score:
    """One number of a metric. ``floor`` is what held-out real samples get against real ones."""

    name: str
    value: float
    floor: float | None = None
    better: str = "lower"
    note: str = ""


@dataclass(frozen=True)
class Plot:
    """Lines (x, y) in one pair of axes, e.g. quality against diversity. A metric may return some beside its scores."""

    name: str
    x: str
    """What the horizontal axis shows, with its unit."""
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    """Up to four, by what the legend calls them; points are joined in order."""
    note: str = ""


@dataclass
class Evaluation:
    """What a metric may use. ``generate(n, seed)`` returns `Samples` of the averaged networks with default options (of a
    recipe that translates: of the first n held-out samples at most).

    ``recipe`` and ``networks`` (by player) are there for metrics of what a recipe can do beside generating: likelihoods,
    other sampling options (`Recipe.sample`), the networks of another phase.
    """

    domain: Domain
    info: Mapping[str, Any]
    train: Split
    held_out: Split
    generate: Callable[[int, int], Samples]
    cache: Path
    device: torch.device
    count: int = 1000
    seed: int = 0
    judge: str = ""
    """What to judge with, where a metric has a choice (a feature network, a recogniser): a file or a name; empty: its own."""
    recipe: Recipe | None = None
    networks: Mapping[str, torch.nn.Module] = field(default_factory=dict)
