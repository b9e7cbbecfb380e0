"""The table of kinds: what plugins may register, one row for each kind. Everything that depends on a kind is in its row."""

from __future__ import annotations

import re
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from ..hookspecs import CommandSpec, DatasetSpec, DomainSpec, FormatSpec, MetricSpec, RecipeSpec, SchemeSpec

if TYPE_CHECKING:
    from collections.abc import Callable

Spec = DomainSpec | RecipeSpec | DatasetSpec | MetricSpec | FormatSpec | CommandSpec | SchemeSpec
"""A spec of any kind."""

_NAME = r"[a-z0-9][a-z0-9_.-]*"
_CHARACTERS = "a-z, 0-9, '-', '_' and '.'"

COMMANDS = (
    "list",
    "plugins",
    "runs",
    "data",
    "cache",
    "train",
    "resume",
    "generate",
    "evaluate",
    "report",
    "export",
    "import",
    "doctor",
    "new",
    "completion",
)
"""The commands that polygan has itself."""


class Kind(NamedTuple):
    """One kind of thing that plugins register."""

    name: str
    """The singular: ``"recipe"``."""
    plural: str
    """The plural: ``"recipes"``. The catalogue's attribute of this name holds the specs by id."""
    hook: str
    """The name of the hook that returns the specs."""
    spec: type[Spec]
    """The class of the specs that the hook returns."""
    base: str = ""
    """Import string of the class that a target must subclass; empty: a target is any callable."""
    settings: tuple[str, ...] = ()
    """Attributes of a target that are dataclasses of settings."""
    needs: tuple[tuple[str, str], ...] = ()
    """Text attributes that a target must have, each with the value to set, in words."""
    id: Callable[[Spec], str] = attrgetter("id")
    """Reads the id of a spec; no two specs of a kind share an id."""
    shape: str = "one name"
    """The form of an id, in words."""
    pattern: str = _NAME
    """The form of an id, as a regular expression."""
    imports: tuple[str, ...] = ("target",)
    """Fields of a spec that hold import strings; only the first may not be empty."""
    taken: tuple[str, ...] = ()
    """Ids that polygan uses itself."""

    def malformed(self, id: str) -> str:
        """Why an id is not allowed, with the remedy; empty for an allowed id."""
        if re.fullmatch(self.pattern, id):
            return ""
        return f"id {id!r} is not allowed: use {self.shape} of {_CHARACTERS}"


_SCOPED = f"{_NAME}/{_NAME}"

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("domain", "domains", "polygan_domains", DomainSpec, base="polygan:Domain", settings=("Settings",)),
        Kind(
            "recipe",
            "recipes",
            "polygan_recipes",
            RecipeSpec,
            base="polygan:Recipe",
            settings=("Config", "Sampling"),
            needs=(("domain", "the domain's id"),),
            shape="domain/name",
            pattern=_SCOPED,
        ),
        Kind("dataset", "datasets", "polygan_datasets", DatasetSpec, imports=("target", "settings")),
        Kind("metric", "metrics", "polygan_metrics", MetricSpec, shape="domain/name", pattern=_SCOPED),
        Kind(
            "format",
            "formats",
            "polygan_formats",
            FormatSpec,
            shape="a recipe's id domain/name (or '*') and a format's name",
            pattern=rf"({_SCOPED}|\*):{_NAME}:(import|export)",
            imports=("target", "settings"),
        ),
        Kind("command", "commands", "polygan_commands", CommandSpec, id=attrgetter("name"), taken=COMMANDS),
        Kind(
            "scheme",
            "schemes",
            "polygan_schemes",
            SchemeSpec,
            id=attrgetter("scheme"),
            shape="a name of two or more characters",
            pattern=r"[a-z][a-z0-9.-]+",
        ),
    )
}


def kind_of(spec: Spec) -> Kind:
    """The kind of a spec."""
    return next(kind for kind in KINDS.values() if isinstance(spec, kind.spec))


def counted(number: int, plural: str) -> str:
    """A number with its noun: ``1 recipe``, ``2 recipes``. ``events`` is allowed too, although it is no kind."""
    names = {kind.plural: kind.name for kind in KINDS.values()} | {"events": "event"}
    return f"{number} {names[plural] if number == 1 else plural}"
