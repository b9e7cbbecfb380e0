"""What a metric may use, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ..game.sampling import given_of, make_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from pathlib import Path

    import torch

    from ..data.domain import Domain, Samples
    from ..data.store import Split
    from ..game.recipe import Recipe

T = TypeVar("T")


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
    """What a metric may use: the data, the trained networks, and samples of them."""

    domain: Domain
    info: Mapping[str, Any]
    """The facts of the data."""
    train: Split
    held_out: Split
    recipe: Recipe[Any]
    networks: Mapping[str, torch.nn.Module]
    """By name, averaged where the recipe averages."""
    cache: Path
    """A folder for what is costly to make."""
    device: torch.device
    count: int = 1000
    """Samples that a metric may ask for."""
    seed: int = 0
    features: str = ""
    """The feature network (or recogniser) to measure with, where a metric has a choice: a file or a name; empty: its own."""
    kept: dict[Hashable, Any] = field(default_factory=dict)
    """What `once` keeps; evaluations of one run share it."""

    def generate(
        self,
        n: int,
        seed: int,
        options: Any = None,
        *,
        networks: Mapping[str, torch.nn.Module] | None = None,
        given: Samples | None = None,
    ) -> Samples:
        """``n`` samples by seed, with the recipe's options (None: defaults), of these networks or others of the recipe.

        A recipe that makes samples from something is given held-out samples, unless ``given`` says otherwise; there may be
        fewer than n.
        """
        if given is None:
            splits = {"train": self.train, "held_out": self.held_out}
            given = given_of(self.recipe, self.domain, splits, n)
        return make_samples(self.recipe, networks or self.networks, n, seed, options, given=given, domain=self.domain)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make()`` returns, made at the first call with this key: for metrics that share what is costly."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]
