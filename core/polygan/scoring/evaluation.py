"""`Evaluation` is what a metric may use; `Score` and `Plot` are what a metric returns."""

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
    """One number of a metric. ``floor`` is the score of held-out real samples against other real samples."""

    name: str
    value: float
    floor: float | None = None
    better: str = "lower"
    note: str = ""


@dataclass(frozen=True)
class Plot:
    """Lines of points (x, y) in one pair of axes, e.g. quality against diversity. A metric may return plots too."""

    name: str
    x: str
    """The label of the horizontal axis, with its unit."""
    y: str
    """The label of the vertical axis, with its unit."""
    lines: Mapping[str, Sequence[tuple[float, float]]]
    """Up to four lines by their names in the legend; points are joined in order."""
    note: str = ""


@dataclass
class Evaluation:
    """What a metric may use: the data, the trained networks, and samples that the networks make."""

    domain: Domain
    info: Mapping[str, Any]
    """The facts of the data (`Source.info`)."""
    train: Split
    held_out: Split
    recipe: Recipe[Any]
    networks: Mapping[str, torch.nn.Module]
    """The networks by name; averaged weights where the recipe averages."""
    cache: Path
    """A folder for files that are costly to make."""
    device: torch.device
    samples: int = 1000
    """The number of samples that a metric may ask for."""
    seed: int = 0
    features: str = ""
    """The feature network (or recogniser) to measure with, where a metric has a choice: a file or a name; empty: its own."""
    allow_code: bool = False
    """Whether the user allows files that run code when they are loaded (``--allow-code``). Ask before such a file is opened."""
    kept: dict[Hashable, Any] = field(default_factory=dict)
    """The values that `once` keeps; all evaluations of a run share this dict."""

    def generate(
        self,
        n: int,
        seed: int,
        options: object = None,
        *,
        networks: Mapping[str, torch.nn.Module] | None = None,
        given: Samples | None = None,
    ) -> Samples:
        """``n`` samples by seed; ``options`` are the recipe's (None: its defaults).

        ``networks`` may be other networks of the same recipe. A recipe that makes samples from something is given held-out
        samples, unless ``given`` holds others; the result then has at most as many samples as there are given ones.
        """
        if given is None:
            splits = {"train": self.train, "held_out": self.held_out}
            given = given_of(self.recipe, self.domain, splits, n)
        return make_samples(self.recipe, networks or self.networks, n, seed, options, given=given, domain=self.domain)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of ``make()``, which is called once for each key: metrics share costly values this way."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]
