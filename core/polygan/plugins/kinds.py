"""The table of kinds: what plugins may register, one row for each kind; and the check of the specs that a plugin's hooks return."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from ..hookspecs import CommandSpec, DatasetSpec, DomainSpec, FormatSpec, MetricSpec, RecipeSpec, SchemeSpec
from .discovery import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pluggy import PluginManager

    from .discovery import PluginStatus

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


_PATH = r"[^\W\d]\w*(\.[^\W\d]\w*)*"


def collect(manager: PluginManager, kind: Kind) -> list[Spec]:
    """The specs of a kind that the manager's plugin returns. Raises `Refused` if one of them is wrong."""
    hook, cls = kind.hook, kind.spec
    caller = getattr(manager.hook, hook)
    results = caller()
    if len(results) < len(caller.get_hookimpls()):  # pluggy drops None
        raise Refused(f"{hook}() returned None: return a list of {cls.__name__}")
    for result in results:
        if not isinstance(result, list | tuple):
            raise Refused(f"{hook}() returned {type(result).__name__}: return a list of {cls.__name__}")
        for spec in result:
            if not isinstance(spec, cls):
                raise Refused(f"{hook}() returned a list with {spec!r:.80}: return {cls.__name__} objects")
            _check(spec, kind)
    specs = [spec for result in results for spec in result]
    for id, count in Counter(map(kind.id, specs)).items():
        if count > 1:
            raise Refused(f"{hook}() registers {id!r} twice: remove one")
    return specs


def divided(
    specs: Mapping[str, list[Spec]], owners: Mapping[tuple[str, str], PluginStatus]
) -> tuple[dict[str, list[Spec]], dict[tuple[str, str], str]]:
    """The specs of a plugin whose ids are free, and the kinds and ids that somebody else has, each with a line about it."""
    free: dict[str, list[Spec]] = {name: [] for name in specs}
    taken: dict[tuple[str, str], str] = {}
    for name, spec in ((name, spec) for name, found in specs.items() for spec in found):
        id = KINDS[name].id(spec)
        if holder := owners.get((name, id)):
            taken[name, id] = f"{name} {id!r} is already registered by {holder}: rename one, or leave one plugin out"
        elif id in KINDS[name].taken:
            taken[name, id] = f"{name} {id!r} is already registered by polygan itself: rename yours"
        else:
            free[name].append(spec)
    return free, taken


def _check(spec: Spec, kind: Kind) -> None:
    hook = kind.hook
    for f in dataclasses.fields(spec):
        value = getattr(spec, f.name)
        if isinstance(f.default, tuple):
            if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
                raise Refused(f"{hook}(): {f.name} of {kind.id(spec)!r} are {value!r}: make them a tuple of strings")
        elif isinstance(f.default, bool):
            if not isinstance(value, bool):
                raise Refused(f"{hook}(): {f.name} of {kind.id(spec)!r} is {value!r}: make it True or False")
        elif not isinstance(value, str):
            raise Refused(f"{hook}(): {f.name} of {kind.id(spec)!r} is {value!r}: make it a string")
    id = kind.id(spec)
    if fault := kind.malformed(id):
        raise Refused(f"{hook}(): {fault}")
    for name in kind.imports:
        value, may_be_empty = getattr(spec, name), name != kind.imports[0]
        if not re.fullmatch(f"{_PATH}:{_PATH}", value) and not (may_be_empty and value == ""):
            raise Refused(f"{hook}(): {name} {value!r} of {id!r} is no import string: use 'module:name'")
