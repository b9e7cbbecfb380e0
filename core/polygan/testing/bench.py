"""What conformance checks stand on: what is checked, its data in a folder of its own, and the words for a broken contract."""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jsonargparse
import numpy as np
import torch

from ..data.build import build_store
from ..data.store import split_store
from ..data.stream import Streams
from ..errors import ConfigError
from ..game.sampling import make_samples
from ..plugins import catalogue as plugins
from ..record.job import Job
from ..runs.assembly import data_settings, kinds, open_source, resolve
from ..settings.parser import build
from ..training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..data.domain import Domain, Samples
    from ..data.source import Batch, Source
    from ..data.store import Split
    from ..game.protocol import Turn
    from ..game.recipe import Recipe
    from ..settings.parser import Settings
    from ..training.checkpoint import Checkpoints

MOST_ITERATIONS = 24
"""Every turn of a checked recipe must begin before this iteration."""


class ContractError(AssertionError):
    """A plugin breaks a rule of the protocol; the message says which, where, and shows what was expected and what was found."""


def broken(where: str, contract: str, expected: object, found: object) -> ContractError:
    """The error of a broken contract, in one line."""
    return ContractError(" ".join(f"{where}: {contract}; expected {expected}, found {found}".split()))


def difference(a: Any, b: Any, tolerance: float = 0.0) -> tuple[str, str, str] | None:
    """Where two values differ, as (place, one, other); None where they are the same.

    Tensors, arrays, lists and mappings are compared entry by entry: to the bit, or within ``tolerance`` (absolute).
    """
    if isinstance(a, (torch.Tensor, np.ndarray)) and isinstance(b, (torch.Tensor, np.ndarray)):
        return _first(torch.as_tensor(a).detach().cpu(), torch.as_tensor(b).detach().cpu(), tolerance)
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return "", f"the names {', '.join(map(str, a))}", f"the names {', '.join(map(str, b))}"
        parts = ((f".{k}", a[k], b[k]) for k in a)
    elif isinstance(a, (list, tuple)) and type(a) is type(b):
        if len(a) != len(b):
            return "", f"{len(a)} entries", f"{len(b)} entries"
        parts = ((f"[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b, strict=True)))
    else:
        return None if type(a) is type(b) and a == b else ("", repr(a), repr(b))
    for place, x, y in parts:
        if found := difference(x, y, tolerance):
            return place + found[0], *found[1:]
    return None


def _first(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> tuple[str, str, str] | None:
    """The entry where two tensors differ most."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return "", f"{a.dtype} {tuple(a.shape)}", f"{b.dtype} {tuple(b.shape)}"
    if a.numel() == 0 or torch.equal(a, b):
        return None
    gap = (a.double() - b.double()).abs()
    gap = torch.where(a.isnan() & b.isnan(), 0.0, gap.nan_to_num(nan=float("inf")))
    if float(gap.max()) <= tolerance:
        return None
    at = np.unravel_index(int(gap.argmax()), a.shape) if a.dim() else ()
    return f"[{', '.join(map(str, map(int, at)))}]" if at else "", repr(a[at].item()), repr(b[at].item())


@dataclass(frozen=True, eq=False)
class Case:
    """What is held to the checks, and with what.

    ``data`` is what ``polygan train --data`` takes, the domain's data settings, or a function that makes such data in the
    folder that it is given and returns either. A recipe is best checked with a small ``model`` whose turns all begin within
    24 iterations, on at least 24 samples.
    """

    id: str
    data: str | Path | Mapping[str, Any] | Callable[[Path], str | Path | Mapping[str, Any]] = ""
    model: Mapping[str, Any] = field(default_factory=dict)
    """The settings of the recipe."""
    kind: Literal["recipe", "domain", "dataset", "metric"] = "recipe"
    recipe: str = ""
    """Of a metric: the recipe whose samples it scores."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the run, e.g. ``{"batch_size": 8, "judge": "..."}``; 4 samples a batch and fp32 unless they say otherwise."""
    plugins: Sequence[str | Path] = ()
    """Local plugin files to load beside what is installed; none: the catalogue of this process."""

    def __str__(self) -> str:
        return f"{self.kind} {self.id!r}"


class Bench:
    """A case made ready, each part when it is first asked for. Its files go with it."""

    def __init__(self, case: Case) -> None:
        self.case, self.where = case, str(case)
        self._temporary = tempfile.TemporaryDirectory(prefix="polygan-checks-")
        self.folder = Path(self._temporary.name)

    @cached_property
    def _own(self) -> plugins.Catalogue:
        return plugins.load_catalogue(files=self.case.plugins)

    @contextmanager
    def catalogue(self) -> Iterator[plugins.Catalogue]:
        """The case's catalogue, being the process's one meanwhile.

        The meanings of settings are not parsed out of docstrings, which no check reads and which would take most of the time.
        """
        before = plugins._catalogue
        if self.case.plugins:
            plugins.set_catalogue(self._own)
        jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=False)
        try:
            yield plugins.get_catalogue()
        finally:
            jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
            if self.case.plugins:  # else the process's own stays loaded for the next check
                plugins.set_catalogue(before)

    @cached_property
    def data(self) -> dict[str, Any]:
        """The data settings as plain data, decoded into a cache of the bench's own."""
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
        """The recipe that plays: the case's own, or that of a metric."""
        return self.case.recipe if self.case.kind == "metric" else self.case.id

    @cached_property
    def settings(self) -> Settings:
        """The settings of a run on the bench."""
        if not self.trained_id:
            raise ConfigError(f"{self.where} needs a recipe whose samples it scores; name one as recipe=...")
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
    def data_settings(self) -> Any:
        """The data settings, typed."""
        if self.case.kind in ("recipe", "metric"):
            return self.settings.data
        kind = data_settings(self.data["source"], self.domain, plugins.get_catalogue())
        return build(kind, self.data, f"data of {self.where}")

    def open(self) -> Source:
        """The source, opened anew."""
        return open_source(self.data_settings, self.domain, plugins.get_catalogue())

    @cached_property
    def splits(self) -> dict[str, Split]:
        """The decoded data."""
        store = build_store(self.open(), self.data_settings, progress=False, workers=1)
        return split_store(store, self.data_settings.held_out)

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
    def info(self) -> dict[str, Any]:
        """The facts of the data."""
        return self.splits["train"].store.info

    @property
    def needs_given(self) -> bool:
        """Whether the recipe makes samples from something given alone."""
        recipe = self.reference.recipe
        return recipe.given is not None and not recipe.invents

    @cached_property
    def job(self) -> Job:
        """The run of the case."""
        recipe, catalogue = self.reference.recipe, plugins.get_catalogue()
        return Job(self.settings, catalogue, self.domain, recipe, self.splits, self.settings.run.metrics)

    def batch(self, rows: np.ndarray) -> Batch:
        """A prepared batch of training rows, all draws 0.5."""
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
        """After which every turn was due at least once; at least 2."""
        last = max((t.start + -t.start % t.every, t.name) for t in self.trainer(steps=1000).turns)
        if last[0] >= MOST_ITERATIONS:
            raise ConfigError(
                f"turn {last[1]!r} first comes at step {last[0]}; check {self.where} with model settings that let every turn "
                f"begin before step {MOST_ITERATIONS}"
            )
        return max(2, last[0] + 1)

    @cached_property
    def reference(self) -> Watched:
        """A trainer that has played every turn; not to be trained on."""
        return played(self.trainer())

    def samples(
        self, networks: Mapping[str, torch.nn.Module], n: int, seed: int = 0, recipe: Recipe | None = None
    ) -> Samples:
        """``n`` samples with default options; made from training samples where the recipe needs some, as many as there are."""
        given = self.domain.given(self.splits["train"], self.rows(n)) if self.needs_given else None
        return make_samples(recipe or self.recipe(), networks, n, seed, given=given, domain=self.domain)


class Watched(Trainer):
    """A trainer that notes what each turn does to which player."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.leaks: list[tuple[str, str, str, str]] = []
        """(where, what must not be, expected, found)."""
        self.reached: dict[tuple[str, str], float] = {
            (turn.name, player): 0.0 for turn in self.turns for player in turn.players
        }
        """The largest gradient norm by turn and player."""
        for name, actor in self.actors.items():
            setattr(actor, "update", self._watched(name, actor.update))  # noqa: B010 - a method is replaced on purpose

    def _watched(self, name: str, update: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def watch(gradients: list[torch.Tensor], scale: torch.Tensor | None) -> torch.Tensor:
            norm = update(gradients, scale)
            key = (self.context.turn, name)
            self.reached[key] = max(self.reached[key], float(norm))
            return norm

        return watch

    def play(self, turn: Turn, index: int, repeat: int, caches: list[dict[str, Any]]) -> None:
        """Play, then compare the players that do not act with what they were."""
        idle = {n: a for n, a in self.actors.items() if n not in turn.players and a.optimizer is not None}
        before = {n: {k: p.detach().clone() for k, p in a.module.named_parameters()} for n, a in idle.items()}
        super().play(turn, index, repeat, caches)
        for name, actor in idle.items():
            where = f"turn {turn.name!r} at step {self.step}, {name}"
            now = dict(actor.module.named_parameters())
            if moved := difference(before[name], {k: p.detach() for k, p in now.items()}):
                contract = "changed a parameter of a player that does not act"
                self.leaks.append((where + moved[0], contract, moved[1], moved[2]))
            for key, p in now.items():
                if p.grad is not None and bool(p.grad.abs().max() > 0):
                    norm = f"one of norm {float(p.grad.norm()):.3g}"
                    self.leaks.append((f"{where}.{key}", "a gradient reached a player that does not act", "none", norm))
                    break


def played(trainer: Watched, until: int = 0) -> Watched:
    """The trainer after ``until`` steps; 0: after all of its steps."""
    while trainer.step < (until or trainer.settings.steps):
        trainer.iterate()
    return trainer


def state(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Every parameter and buffer of the players and of their averages, copied."""
    networks = {f"{n}.ema": m for n, m in trainer.networks().items() if m is not trainer.actors[n].module}
    networks |= trainer.networks(averaged=False)
    return {f"{n}.{k}": v.detach().clone() for n, m in networks.items() for k, v in m.state_dict().items()}
