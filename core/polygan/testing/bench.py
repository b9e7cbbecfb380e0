"""The bench of conformance checks: the case, its data in a temporary folder, and trainers that play its recipe."""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..data.build import build_store
from ..data.store import split_store
from ..data.stream import Streams
from ..errors import ConfigError
from ..game.sampling import make_samples
from ..plugins import catalogue as plugins
from ..record.job import Job
from ..runs.assembly import data_settings, kinds, open_source, resolve
from ..runs.data.receipt import add_survey
from ..scoring.evaluation import Trust
from ..settings.parser import build
from .watched import Watched, played

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import torch

    from ..data.domain import Domain, Samples
    from ..data.source import Batch, DataSettings, Source
    from ..data.store import Split
    from ..game.recipe import Recipe
    from ..settings.parser import Settings
    from ..training.checkpoint import Checkpoints

    Data = str | Path | Mapping[str, object]
    """A path, the name of a data set, or data settings."""
MOST_ITERATIONS = 24
"""Every turn of a checked recipe must begin before this iteration."""


@dataclass(frozen=True, eq=False)
class Case:
    """A recipe, domain, data set or metric to check, with its data and settings.

    ``data`` is what ``polygan train --data`` takes, or the domain's data settings, or a function that makes data in a folder
    and returns one of these. Check a recipe with a small ``model`` whose turns all begin within 24 iterations, on at least
    24 samples.
    """

    id: str
    data: Data | Callable[[Path], Data] = ""
    model: Mapping[str, object] = field(default_factory=dict)
    """The settings of the recipe."""
    kind: Literal["recipe", "domain", "dataset", "metric"] = "recipe"
    recipe: str = ""
    """For a metric: the recipe whose samples the metric scores."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings of the run, e.g. ``{"batch_size": 8, "features": "..."}``; defaults here are 4 samples a batch and fp32."""
    plugins: Sequence[str | Path] = ()
    """Local plugin files to load with the installed plugins; empty: the catalogue of this process."""

    def __str__(self) -> str:
        return f"{self.kind} {self.id!r}"


class Bench:
    """A case made ready for checks. Each part is made at its first use; the files are deleted with the bench."""

    def __init__(self, case: Case) -> None:
        self.case, self.where = case, str(case)
        self._temporary = tempfile.TemporaryDirectory(prefix="polygan-checks-")
        self.folder = Path(self._temporary.name)

    @cached_property
    def _own(self) -> plugins.Catalogue:
        return plugins.load_catalogue(files=self.case.plugins)

    @contextmanager
    def catalogue(self) -> Iterator[plugins.Catalogue]:
        """The catalogue of the case, which is the catalogue of the process in this block."""
        before = plugins._catalogue
        if self.case.plugins:
            plugins.set_catalogue(self._own)
        try:
            yield plugins.get_catalogue()
        finally:
            if self.case.plugins:  # otherwise the catalogue of the process stays loaded for the next check
                plugins.set_catalogue(before)

    @cached_property
    def data(self) -> dict[str, object]:
        """The data settings as plain data, with a cache in the folder of the bench."""
        given = self.case.data
        if callable(given):
            place = self.folder / "data"
            place.mkdir()
            given = given(place)
        settings = {"source": str(given)} if isinstance(given, (str, Path)) else dict(given)
        if self.case.kind == "dataset":
            settings["source"] = self.case.id
        return {"held_out": 0.25, **settings, "cache": str(self.folder / "cache")}

    @property
    def trained_id(self) -> str:
        """The id of the recipe that is trained: the recipe of the case, or the recipe whose samples a metric scores."""
        return self.case.recipe if self.case.kind == "metric" else self.case.id

    @cached_property
    def settings(self) -> Settings:
        """The settings of a run on the bench."""
        if not self.trained_id:
            raise ConfigError(f"{self.where} needs a recipe whose samples it scores; pass recipe=ID")
        run = {"batch_size": 4, "precision": "fp32", "hang_timeout": 0, "evaluate_samples": 24, **self.case.settings}
        layer = {"data": self.data, "model": dict(self.case.model), "runs": str(self.folder / "runs"), **run}
        return resolve(self.trained_id, [layer])

    @cached_property
    def domain(self) -> Domain:
        """An instance of the case's domain."""
        catalogue = plugins.get_catalogue()
        if self.case.kind in ("recipe", "metric"):
            return kinds(self.trained_id, catalogue)[1]
        name = self.case.id if self.case.kind == "domain" else catalogue.dataset(self.case.id).domain
        return catalogue.resolve(catalogue.domain(name))()

    @cached_property
    def data_settings(self) -> DataSettings:
        """The data settings, as an instance of their class."""
        if self.case.kind in ("recipe", "metric"):
            return self.settings.data
        kind = data_settings(str(self.data["source"]), self.domain, plugins.get_catalogue())
        return build(kind, self.data, f"data of {self.where}")

    def open(self) -> Source:
        """The source, newly opened."""
        return open_source(self.data_settings, self.domain, plugins.get_catalogue())

    @cached_property
    def splits(self) -> dict[str, Split]:
        """The decoded data."""
        store = build_store(self.open(), self.data_settings, progress=False, workers=1)
        splits = split_store(store, self.data_settings.held_out)
        if self.case.kind in ("recipe", "metric"):
            kind, _ = kinds(self.trained_id, plugins.get_catalogue())
            add_survey(kind, self.settings.model, self.domain, splits["train"])
        return splits

    def rows(self, n: int) -> np.ndarray:
        """The first n training rows, or all."""
        split = self.splits["train"]
        return split.rows[: min(n, len(split))]

    # Recipes

    def recipe(self) -> Recipe:
        """A fresh recipe."""
        kind, _ = kinds(self.trained_id, plugins.get_catalogue())
        return kind(self.settings.model, copy.deepcopy(self.info))

    @property
    def info(self) -> Mapping[str, object]:
        """The facts of the data."""
        return self.splits["train"].store.info

    @property
    def needs_given(self) -> bool:
        """Whether the recipe makes samples only from something given."""
        recipe = self.reference.recipe
        return recipe.given is not None and not recipe.invents

    @cached_property
    def job(self) -> Job:
        """The run of the case."""
        recipe, catalogue = self.reference.recipe, plugins.get_catalogue()
        run = self.settings.run
        trust = Trust(run.features, allow_code=True)  # whoever wrote the check names the file, not a run of a stranger
        return Job(self.settings, catalogue, self.domain, recipe, self.splits, run.metrics, trust=trust)

    def batch(self, rows: np.ndarray) -> Batch:
        """A prepared batch of training rows; all random draws are 0.5."""
        draws = np.full((len(rows), self.domain.draws), 0.5)
        return self.domain.prepare(self.domain.collate(self.splits["train"], rows, draws), self.info)

    def trainer(self, seed: int = 0, steps: int = 0, checkpoints: Checkpoints | None = None) -> Watched:
        """A fresh trainer on the CPU."""
        run = dataclasses.replace(self.settings.run, seed=seed, steps=steps or self.iterations)
        streams = Streams(self.splits, self.domain, run.batch_size, run.seed)
        info = self.info
        return Watched(
            self.recipe(),
            streams,
            run,
            prepare=lambda batch: self.domain.prepare(batch, info),
            checkpoints=checkpoints,
        )

    @cached_property
    def iterations(self) -> int:
        """The number of iterations after which every turn was due at least once; at least 2."""
        last = max((t.start + -t.start % t.every, t.name) for t in self.trainer(steps=1000).turns)
        if last[0] >= MOST_ITERATIONS:
            raise ConfigError(
                f"turn {last[1]!r} first comes at step {last[0]}; check {self.where} with model settings that let every turn "
                f"begin before step {MOST_ITERATIONS}"
            )
        return max(2, last[0] + 1)

    @cached_property
    def reference(self) -> Watched:
        """A trainer that has played every turn. Checks must not train it further."""
        return played(self.trainer())

    def samples(
        self, networks: Mapping[str, torch.nn.Module], n: int, seed: int = 0, recipe: Recipe | None = None
    ) -> Samples:
        """``n`` samples with default options; a recipe that needs something given makes one from each of n training samples at most."""
        given = self.domain.given(self.splits["train"], self.rows(n)) if self.needs_given else None
        return make_samples(recipe or self.recipe(), networks, n, seed, given=given, domain=self.domain)
