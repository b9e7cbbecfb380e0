"""The whole contract between polygan and its plugins.

A plugin is a module named by an entry point of the group ``polygan``. The module implements any of the hooks below with
``@polygan.hookimpl``. Specs are plain data whose targets are import strings (``"package.module:attribute"``), so that
`polygan list` imports neither torch nor a plugin's networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from .files import Facts

API_VERSION = 2
"""Version of this contract. A plugin module may set ``POLYGAN_API = N``. A plugin with a newer N is refused by name."""
OLDEST_API = 2
"""The oldest version of the contract that a plugin may be written for."""

hookspec = pluggy.HookspecMarker("polygan")
hookimpl = pluggy.HookimplMarker("polygan")


@dataclass(frozen=True)
class DomainSpec:
    """A kind of sample. ``target`` names a subclass of `polygan.Domain`."""

    id: str
    target: str
    summary: str


@dataclass(frozen=True)
class RecipeSpec:
    """A trainable method. ``id`` is ``domain/name``; ``target`` names a subclass of `polygan.Recipe`."""

    id: str
    target: str
    summary: str
    paper: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetSpec:
    """A named data set. ``target`` names a callable that takes the domain's settings and returns a `polygan.Source`.

    ``settings`` may name a frozen dataclass that subclasses the domain's ``Settings`` and adds fields. A run on this data set
    then has the added fields too (``--data.size 500``), and the callable gets an instance of the dataclass.
    """

    id: str
    domain: str
    target: str
    summary: str
    licence: str = ""
    settings: str = ""


@dataclass(frozen=True)
class MetricSpec:
    """A metric. ``id`` is ``domain/name``; ``target`` names a callable
    `(polygan.Evaluation) -> list[polygan.Score | polygan.Plot]`.

    ``needs_pairs`` says that the metric asks for `polygan.Evaluation.pairs`. By default such metrics are computed where a run has
    pairs, before all others, and nowhere else. ``needs_sides`` says that the recipe must make samples of one class from samples of
    another (`Recipe.sides`); by default the metric is computed for no other recipe. ``needs_noise`` says that the recipe must make
    samples from nothing (`Recipe.given` is None): by default the metric is computed for no other recipe, and before all others.
    """

    id: str
    target: str
    summary: str
    paper: str = ""
    needs_pairs: bool = False
    needs_sides: bool = False
    needs_noise: bool = False


@dataclass(frozen=True)
class CommandSpec:
    """A new command of the command line: ``polygan NAME ...``.

    ``target`` names a function that takes the words after the name (``list[str]``) and returns an exit code or None.
    """

    name: str
    summary: str
    target: str


class Fetched(NamedTuple):
    """A model that was brought from elsewhere."""

    path: Path
    """The exported model on this machine: a .safetensors file."""
    name: str
    """The name without the scheme that brings the same model again, whatever changes there: ``"me/x@COMMIT"``."""


@dataclass(frozen=True)
class SchemeSpec:
    """A scheme of names for models that lie elsewhere: `polygan.load` and ``init_from`` take ``SCHEME:NAME``.

    ``target`` names a callable that takes the name without the scheme and returns a `polygan.Fetched`. The callable raises a
    `polygan.PolyganError` for a model that cannot be had.
    """

    scheme: str
    summary: str
    target: str


@dataclass(frozen=True)
class FormatSpec:
    """A file format of another program, for the weights of a recipe. The recipe may belong to another plugin.

    For an export, ``target`` names a callable ``(recipe, networks, path) -> list[Path]`` that writes files and returns them. For an
    import, ``target`` names a callable ``(path) -> polygan.ImportedWeights``.
    """

    recipe: str
    """The id of the recipe; ``"*"``: every recipe."""
    format: str
    """The name of the format on the command line: ``"onnx"``."""
    direction: Literal["export", "import"]
    target: str
    summary: str
    made_from: str = ""
    """Another export format that this one begins with, such as ``"onnx"``: only recipes with that format have this format. ``target``
    is then ``(recipe, files, path) -> list[Path]``; the files of the other format lie in a temporary folder."""
    settings: str = ""
    """Import string of a frozen dataclass with the export's own options; ``target`` then takes an instance as the keyword ``options``. The
    format that this one begins with gets the options that it has, too."""

    @property
    def id(self) -> str:
        """A name that is unique for each recipe, format and direction."""
        return f"{self.recipe}:{self.format}:{self.direction}"


@dataclass(frozen=True)
class ImportedWeights:
    """Weights of another program: settings of the recipe, facts of the data (`Source.info`), tensors by network and name."""

    model: Facts
    info: Facts
    networks: Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class RunEvent:
    """The run of an event, as a listener sees it.

    ``folder`` is the run's folder, ``recipe`` the recipe's id, ``settings`` the resolved settings as plain data,
    ``step`` the number of finished iterations, ``samples`` the number of real samples shown so far.
    """

    folder: Path
    recipe: str
    settings: Facts
    step: int
    samples: int


@hookspec
def polygan_domains() -> Sequence[DomainSpec]:  # pyright: ignore[reportReturnType]
    """Called once. The domains that the plugin brings."""


@hookspec
def polygan_recipes() -> Sequence[RecipeSpec]:  # pyright: ignore[reportReturnType]
    """Called once. The recipes that the plugin brings."""


@hookspec
def polygan_datasets() -> Sequence[DatasetSpec]:  # pyright: ignore[reportReturnType]
    """Called once. The named data sets that the plugin brings."""


@hookspec
def polygan_metrics() -> Sequence[MetricSpec]:  # pyright: ignore[reportReturnType]
    """Called once. The metrics that the plugin brings."""


@hookspec
def polygan_commands() -> Sequence[CommandSpec]:  # pyright: ignore[reportReturnType]
    """Called once. The commands that the plugin adds to the command line."""


@hookspec
def polygan_schemes() -> Sequence[SchemeSpec]:  # pyright: ignore[reportReturnType]
    """Called once. The schemes of names whose models the plugin brings from elsewhere."""


@hookspec
def polygan_formats() -> Sequence[FormatSpec]:  # pyright: ignore[reportReturnType]
    """Called once. The formats that the plugin imports weights from or exports them to."""


# Events: called on the first process only, between iterations, never inside a step. An error in a listener is reported with
# the plugin's name and does not stop the run (POLYGAN_STRICT=1 raises the error).


@hookspec
def polygan_run_started(event: RunEvent) -> None:
    """Training starts or resumes."""


@hookspec
def polygan_logged(event: RunEvent, values: Mapping[str, float]) -> None:
    """Values were logged, each the mean since the last log: ``turn/term``, ``grad/player``, ``lr/player``, ``skipped/player``,
    ``speed/samples_per_second``."""


@hookspec
def polygan_sampled(event: RunEvent, pieces: Sequence[object]) -> None:
    """Samples from the fixed latent batch were drawn as `polygan.Picture`, `polygan.Sound` and `polygan.Passage`."""


@hookspec
def polygan_evaluated(event: RunEvent, scores: Sequence[object]) -> None:
    """Metrics were computed: a list of `polygan.Score`."""


@hookspec
def polygan_saved(event: RunEvent, checkpoint: Path) -> None:
    """A checkpoint was written durably. Reading a checkpoint verifies it."""


@hookspec
def polygan_diverged(event: RunEvent, message: str) -> None:
    """Non-finite numbers made the trainer roll back or give up."""


@hookspec
def polygan_run_ended(event: RunEvent, status: str) -> None:
    """Training ended: ``"finished"``, ``"preempted"``, ``"interrupted"`` or ``"failed"``."""
