"""`Evaluation` is what a metric may use, `Trust` what it may open; `Score` and `Plot` are what a metric returns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from ..errors import ConfigError, DataError, did_you_mean
from ..game.recipe import sides_of, swapped
from ..game.sampling import given_of, has_truth, make_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from pathlib import Path

    import torch

    from ..data.domain import Domain, Samples
    from ..data.store import Split
    from ..game.recipe import Recipe, Sides

T = TypeVar("T")


@dataclass(frozen=True)
class Score:
    """One number of a metric. ``floor`` is the score of held-out real samples against other real samples."""

    name: str
    value: float
    floor: float | None = None
    better: str = "lower"
    """Which values are better: ``lower``, ``higher``, or ``near``, nearer to ``floor``, which such a score must have."""
    note: str = ""
    baseline: tuple[float, str] | None = None
    """The score of the best trivial answer, and its name: ``(27.3, "bicubic")``."""
    kind: Literal["", "pair", "distribution"] = ""
    """What was compared: each sample with its own truth, or all samples with all real ones. Empty: neither."""
    error: float | None = None
    """The standard error of ``value``, 0 or more: how far other samples of the same generator would move the value. None: not known."""
    trouble: str = ""
    """What this score finds wrong with the samples, in words that follow its name: ``"2.1, worse than Griffin-Lim (4.1)"``. Console, report and
    health say it, and no tick stands beside it. Empty: nothing."""

    def shown(self) -> str:
        """The value in words, with its standard error where the error is known: ``0.3312 +- 0.0041``."""
        return f"{self.value:.4g}" if self.error is None else f"{self.value:.4g} +- {self.error:.2g}"

    def beside(self) -> str:
        """The floor and the baseline in words, to stand behind the value; empty without both."""
        floor = [] if self.floor is None else [f"floor {self.floor:.4g}"]
        baseline = [] if self.baseline is None else [f"{self.baseline[1]} {self.baseline[0]:.4g}"]
        return f" ({', '.join([*floor, *baseline])})" if floor or baseline else ""


class Pairs(NamedTuple):
    """Held-out samples in one order: sample i was made from given sample i, and should have been truth i."""

    given: Samples
    made: Samples
    truth: Samples


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
    """The training samples that generated samples are compared with; for a recipe with two sides, those of the class it makes."""
    held_out: Split
    """The held-out samples, of the same class."""
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
    splits: Mapping[str, Split] = field(default_factory=dict)
    """The whole ``train`` and ``held_out``, from which given samples are taken; empty: the two above."""
    kept: dict[Hashable, Any] = field(default_factory=dict)
    """The values that `once` keeps; all evaluations of a run share this dict."""
    options: Any = None
    """How samples are made where a metric does not say: an instance of the recipe's ``Sampling``; None: its defaults."""
    start: Callable[[], Mapping[str, torch.nn.Module] | None] | None = None
    """Makes the networks that the run began with, on the CPU: new networks of its seed, with the tensors of ``init_from``. The call returns
    None, and says why, where these are gone or have changed. None: the networks are not those of a run, but of an exported model."""
    started_from: str = ""
    """The ``init_from`` of the run; empty: the run began with new networks."""

    def generate(
        self,
        n: int,
        seed: int,
        options: object = None,
        *,
        networks: Mapping[str, torch.nn.Module] | None = None,
        given: Samples | None = None,
    ) -> Samples:
        """``n`` samples by seed; ``options`` are the recipe's (None: those of the evaluation).

        ``networks`` may be other networks of the same recipe. A recipe that makes samples from something is given held-out
        samples, unless ``given`` holds others; the result then has at most as many samples as there are given ones.
        """
        options = self.options if options is None else options
        if given is None:
            splits = self.splits or {"train": self.train, "held_out": self.held_out}
            given = given_of(self.recipe, self.domain, splits, n, options)
        return make_samples(self.recipe, networks or self.networks, n, seed, options, given=given, domain=self.domain)

    def given(self, n: int, start: int = 0) -> Samples | None:
        """``n`` given samples from number ``start`` on, or as many as are left; None for a recipe that needs none, and at the end.

        `generate` gives each call the first samples again. A metric that makes many samples in pieces asks for the pieces here.
        """
        if self.recipe.given is None or self.recipe.invents or n < 1:
            return None
        splits = self.splits or {"train": self.train, "held_out": self.held_out}
        given = given_of(self.recipe, self.domain, splits, n, self.options, start=start)
        return given if given is not None and len(given) else None

    @property
    def sides(self) -> Sides | None:
        """The classes that samples are made from and made into; None for a recipe without two sides."""
        return sides_of(self.recipe, self.options)

    @property
    def told(self) -> str:
        """The options that are no defaults in words, to stand behind a score's name: ``" (temperature 0.9)"``; else empty."""
        usual, options = self.recipe.Sampling(), self.options
        values = {f.name: getattr(options, f.name) for f in fields(options)} if options is not None else {}
        changed = [f"{name} {value}" for name, value in values.items() if value != getattr(usual, name)]
        return f" ({', '.join(changed)})" if changed else ""

    @property
    def paired(self) -> bool:
        """Whether `pairs` can be had: the recipe makes samples from something, and the data has the truth of each."""
        return has_truth(self.recipe, self.domain, self.info)

    def pairs(self, n: int, variant: str = "") -> Pairs:
        """``n`` held-out pairs, or all if there are fewer; the same rows for every evaluation. Metrics share them.

        ``variant`` makes the samples with other networks of the run (`Recipe.variants`). Raises DataError where there are no pairs,
        and ConfigError for an unknown variant.
        """
        if not self.paired:
            raise DataError(
                "the score compares what is made from something with its truth, and this run has no such pairs; take a recipe that "
                "makes samples from something, and data with pairs"
            )
        if not len(self.held_out):
            raise DataError("the score needs held-out pairs, and none were kept; train with --data.held_out 0.1")
        if variant and variant not in self.recipe.variants:
            raise ConfigError(f"variant = {variant!r}: no such networks{did_you_mean(variant, self.recipe.variants)}")
        latest: list[tuple[Evaluation, dict[Hashable, Pairs]]] = self.once(("polygan/pairs",), list)
        if not latest or latest[0][0] is not self:  # the pairs of an earlier evaluation leave the memory
            latest[:] = [(self, {})]
        known, n = latest[0][1], min(n, len(self.held_out))
        if (variant, n) not in known:
            known[variant, n] = self._pairs(n, variant)
        return known[variant, n]

    def _pairs(self, n: int, variant: str) -> Pairs:
        rows = self.held_out.rows[:n]
        given, truth = self.domain.given(self.held_out, rows), self.domain.real(self.held_out, rows)
        given.origins = truth.origins = self.held_out.origins(rows)
        networks = swapped(self.networks, self.recipe.variants[variant]) if variant else self.networks
        return Pairs(given, self.generate(n, self.seed, networks=networks, given=given), truth)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of ``make()``, which is called once for each key: metrics share costly values this way."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]


HOLD_CODE = (".pt", ".pt2", ".pth", ".pkl", ".pickle", ".bin")
"""Suffixes of files that run code when they are loaded: pickles, and TorchScript, whose operators can write files."""


def is_file(features: str) -> bool:
    """Whether ``features`` names a file rather than a network that a plugin knows by name: names have no dot and no slash."""
    return re.fullmatch(r"[\w-]*", features) is None


def holds_code(features: str) -> bool:
    """Whether loading the file runs code that the file holds. A part after the suffix (``FILE.onnx:TENSOR``) does not count."""
    return PurePath(features).suffix.lower().partition(":")[0] in HOLD_CODE


class Trust(NamedTuple):
    """What the user of this process allows, beside what the settings of a run say."""

    features: str | None = None
    """The feature network that was named on the command line or by a keyword; None: at most a saved run names one."""
    allow_code: bool = False
    """Whether files that run code when they are loaded may be loaded."""

    def check(self, saved: str, run: Path | None = None) -> str:
        """The feature network to measure with, where ``saved`` is the name in the settings. ConfigError if it must stay closed.

        A saved run may be a stranger's. So a file that only its config.yaml names is not opened, whatever its kind.
        """
        features = saved if self.features is None else self.features
        if not is_file(features):
            return features
        code = holds_code(features)
        if self.features is None:
            place = f"{run / 'config.yaml'}" if run else "the run's config.yaml"
            flags = f"--features {features}" + (" --allow-code" if code and not self.allow_code else "")
            runs_code = " (loading this file runs code that it holds)" if code else ""
            raise ConfigError(
                f"{place} names the feature network {features!r}, and a file that only a saved run names is not opened. If you "
                f"trust the file{runs_code}, add {flags}; --features '' takes each metric's own network"
            )
        if code and not self.allow_code:
            raise ConfigError(
                f"features = {features!r}: loading this file runs code that it holds. If you trust the file, add --allow-code "
                "(allow_code=True); an ONNX file holds no code"
            )
        return features


NO_TRUST = Trust()
"""Nothing was asked for."""
