"""The catalogue of what plugins registered, and loading plugins one at a time.

Every plugin has a pluggy manager of its own, so a fault of one plugin never stops another. The fault is recorded with
the plugin's name, distribution and version, and with the remedy. An id belongs to the plugin that was loaded first; a
later plugin is loaded without the id. Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections import defaultdict
from contextvars import ContextVar
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..errors import ConfigError, PluginError, did_you_mean
from ..messages import warn
from ..settings.ranges import unfit
from .discovery import NONE, Candidate, PluginStatus, Refused, attach, installed, known_names, missed, unmarked
from .importing import Listeners, explain, imported, load_file, watched
from .kinds import KINDS, collect, divided, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pluggy import PluginManager

    from ..data.domain import Domain
    from ..data.source import DataSettings, Source
    from ..game.recipe import Recipe
    from ..hookspecs import CommandSpec, DatasetSpec, DomainSpec, FormatSpec, MetricSpec, RecipeSpec, SchemeSpec
    from .kinds import Spec

__all__ = ["Catalogue", "PluginStatus", "get_catalogue", "load_catalogue", "set_catalogue"]

_T = TypeVar("_T")


class Catalogue:
    """What the loaded plugins registered, by id, and the state of every plugin."""

    def __init__(self, *, strict: bool = False) -> None:
        self.domains: dict[str, DomainSpec] = {}
        self.recipes: dict[str, RecipeSpec] = {}
        self.datasets: dict[str, DatasetSpec] = {}
        self.metrics: dict[str, MetricSpec] = {}
        self.formats: dict[str, FormatSpec] = {}
        self.commands: dict[str, CommandSpec] = {}
        self.schemes: dict[str, SchemeSpec] = {}
        self.plugins: list[PluginStatus] = []
        self.strict = strict
        self.added: list[object] = []  # plugins that a script handed in
        self.handed: dict[str, str] = {}  # recipes that a script handed in, and the places of their classes
        self._owners: dict[tuple[str, str], PluginStatus] = {}
        self._disputed: defaultdict[tuple[str, str], list[PluginStatus]] = defaultdict(list)
        self._listeners = Listeners()

    def domain(self, id: str) -> DomainSpec:
        """The domain of this id; `polygan.ConfigError` with a suggestion if there is none."""
        return self._find("domain", self.domains, id)

    def recipe(self, id: str) -> RecipeSpec:
        """The recipe of this id; `polygan.ConfigError` with a suggestion if there is none."""
        return self._find("recipe", self.recipes, id)

    def dataset(self, id: str) -> DatasetSpec:
        """The data set of this id; `polygan.ConfigError` with a suggestion if there is none."""
        return self._find("dataset", self.datasets, id)

    def metric(self, id: str) -> MetricSpec:
        """The metric of this id; `polygan.ConfigError` with a suggestion if there is none."""
        return self._find("metric", self.metrics, id)

    def formats_of(self, recipe: str, direction: str) -> dict[str, FormatSpec]:
        """The formats that a recipe's weights can be imported from or exported to, by name."""
        specs = [s for s in self.formats.values() if s.direction == direction and s.recipe in ("*", recipe)]
        found = {s.format: s for s in sorted(specs, key=lambda s: s.recipe != "*")}  # a recipe's own go before
        return {name: spec for name, spec in found.items() if not spec.made_from or spec.made_from in found}

    def format(self, recipe: str, name: str, direction: str) -> FormatSpec:
        """A format of a recipe by name; an empty ``name`` means its only format. `polygan.ConfigError` if there is none."""
        known = self.formats_of(recipe, direction)
        if name in known or (not name and len(known) == 1):
            return known[name or next(iter(known))]
        named = f" as {name!r}{did_you_mean(name, known)}" if name else ""
        fault = "name one with --format" if known and not name else "no plugin has it"
        own = ("safetensors",) if direction == "export" else ()
        there = ", ".join((*own, *known)) or "none"
        raise ConfigError(f"{direction} of {recipe}{named}: {fault}; the formats are {there}")

    def table(self, kind: str) -> dict[str, Spec]:
        """The specs of a kind by id; ``kind``: ``"domain"``, ``"recipe"``, ``"dataset"``, ``"metric"``, ``"format"``, ``"command"`` or ``"scheme"``."""
        if kind not in KINDS:
            raise ConfigError(f"no kind {kind!r}{did_you_mean(kind, KINDS)}; there are {', '.join(KINDS)}")
        return getattr(self, KINDS[kind].plural)

    def owner(self, kind: str, id: str) -> PluginStatus:
        """The plugin that registered an id of a kind (`table` lists the kinds)."""
        self._find(kind, self.table(kind), id)
        return self._owners[kind, id]

    @overload
    def resolve(self, spec: DomainSpec) -> type[Domain]: ...
    @overload
    def resolve(self, spec: RecipeSpec) -> type[Recipe[Any]]: ...
    @overload
    def resolve(self, spec: DatasetSpec) -> Callable[[DataSettings], Source]: ...
    @overload
    def resolve(self, spec: MetricSpec) -> Callable[..., Iterable[object]]: ...
    @overload
    def resolve(self, spec: FormatSpec | SchemeSpec) -> Callable[..., Any]: ...
    @overload
    def resolve(self, spec: CommandSpec) -> Callable[[list[str]], object]: ...
    @overload
    def resolve(self, spec: Spec) -> object: ...
    def resolve(self, spec: Spec) -> object:
        """Import the target of a spec: a class for domains and recipes, a callable for the other kinds.

        Raises `polygan.PluginError` if the target cannot be imported or is of another sort, or if a class of settings in the
        target is not sound.
        """
        kind, place = kind_of(spec), self._place(spec)
        target = self._import(spec, spec.target)
        wanted, fits = "a callable", callable(target)
        if kind.base:
            module, _, name = kind.base.partition(":")
            wanted = f"a subclass of {module}.{name}"
            fits = isinstance(target, type) and issubclass(target, getattr(import_module(module), name))
        if not fits:
            raise PluginError(f"{place}: {spec.target!r} is not {wanted}: correct the spec's target")
        for name, what in kind.needs:
            if not isinstance(getattr(target, name, None), str):
                raise PluginError(f"{place}: {spec.target!r} names no {name}: set {name} = {what}")
        for name in kind.settings:
            if fault := unfit(getattr(target, name, None), f"{spec.target}.{name}"):
                raise PluginError(f"{place}: {fault}")
        return target

    def data_settings(self, spec: DatasetSpec) -> type[DataSettings]:
        """The class of a data set's settings: its own if it has one, else its domain's. Raises `polygan.PluginError`."""
        of_domain = self.resolve(self.domain(spec.domain)).Settings
        if not spec.settings:
            return of_domain
        found, place = self._import(spec, spec.settings), self._place(spec)
        if not (isinstance(found, type) and issubclass(found, of_domain)):
            raise PluginError(
                f"{place}: {spec.settings!r} is not a subclass of {of_domain.__name__}, the settings of domain "
                f"{spec.domain!r}: correct the spec's settings"
            )
        if fault := unfit(found, spec.settings):
            raise PluginError(f"{place}: {fault}")
        return found

    def _place(self, spec: Spec) -> str:
        """How messages name a spec: its kind, id and plugin."""
        kind = kind_of(spec)
        owner = self._owners.get((kind.name, kind.id(spec)))
        return f"{kind.name} {kind.id(spec)!r} of {owner}" if owner else f"{kind.name} {kind.id(spec)!r}"

    def _import(self, spec: Spec, path: str) -> object:
        """The object that an import string of a spec names. Raises `polygan.PluginError`."""
        kind = kind_of(spec)
        owner = self._owners.get((kind.name, kind.id(spec)))
        try:
            return imported(path)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            reason = explain(error, path.partition(":")[0], owner.name if owner and owner.distribution else "")
            raise PluginError(f"{self._place(spec)}: cannot import {path!r}: {reason}") from error

    def emit(self, hook_name: str, **arguments: object) -> None:
        """Tell every plugin about a run event (`Listeners.emit`); strict mode turns a listener's error into a PluginError."""
        self._listeners.emit(hook_name, self.strict, arguments)

    def _find(self, kind: str, table: Mapping[str, _T], id: str) -> _T:
        if id in table:
            for other in self._disputed.pop((kind, id), ()):  # once: which of the two is used must not be a surprise
                warn(f"{kind} {id!r} is that of {self._owners[kind, id]}; {other} has another, which is left out")
            return table[id]
        shown = ", ".join(table) if len(table) <= 8 else f"{len(table)} of them in `polygan list`"
        there = missed(id, self.domains, self.plugins) or (f"there are {shown}" if table else NONE)
        raise ConfigError(f"no {kind} {id!r}{did_you_mean(id, table)}; {there}{self.absent()}")

    def absent(self) -> str:
        """Which plugins are not loaded and why: the end of a message about a missing id; empty if all are loaded."""
        message = ""
        for status, verb in (("failed", "failed to load: see `polygan plugins`"), ("disabled", "disabled")):
            names = [repr(p.name) for p in self.plugins if p.status == status]
            if names:
                message += f"; plugin{'s' * (len(names) > 1)} {', '.join(names)} {verb}"
        return message

    def _register(self, status: PluginStatus, manager: PluginManager, specs: Mapping[str, list[Spec]]) -> None:
        """Add all specs of a plugin whose ids are free."""
        for name, found in specs.items():
            ids = {KINDS[name].id(spec): spec for spec in found}
            self.table(name).update(ids)
            self._owners.update({(name, id): status for id in ids})
        for key in status.refused:
            self._disputed[key].append(status)
        self._listeners.add(status, manager)


def load_catalogue(
    *,
    disabled: Iterable[str] = (),
    files: Iterable[str | Path] = (),
    allow: Iterable[str] | None = None,
    strict: bool | None = None,
) -> Catalogue:
    """Load every installed plugin, then the local ``files``, and return what they registered.

    ``disabled`` and ``allow`` hold names of entry points. They act before anything is imported; a name that is not
    installed is a `polygan.ConfigError`. ``allow`` None means ``$POLYGAN_PLUGINS`` (comma separated) if that is set, else
    every plugin; an empty list means no plugin. A plugin that fails is recorded, or raises `polygan.PluginError` if
    ``strict`` (None: ``$POLYGAN_STRICT`` is set and not 0). A local file that fails always raises.
    """
    if strict is None:
        strict = os.environ.get("POLYGAN_STRICT", "0") not in ("", "0")
    origin = "the allow list"
    if allow is None and (listed := os.environ.get("POLYGAN_PLUGINS")) is not None:
        allow, origin = filter(None, map(str.strip, listed.split(","))), "POLYGAN_PLUGINS"
    catalogue, candidates = Catalogue(strict=strict), installed()
    known = sorted({name for candidate in candidates for name in candidate.names})
    allowed = set(known) if allow is None else known_names(allow, known, origin)
    unwanted = known_names(disabled, known, "--no-plugin")
    for candidate in candidates:
        if candidate.names & unwanted or not candidate.names & allowed:
            reason = "--no-plugin" if candidate.names & unwanted else f"not in {origin}"
            catalogue.plugins.append(dataclasses.replace(candidate.status, status="disabled", reason=reason))
        else:
            add_candidate(catalogue, candidate, strict)
    for path in dict.fromkeys(Path(file).expanduser().resolve() for file in files):
        name = path.name if path.stem in known else path.stem
        status = PluginStatus(name, str(path), "", "", "failed")
        add_candidate(catalogue, Candidate(status, frozenset(), partial(load_file, path)), strict=True)
    return catalogue


_catalogue: Catalogue | None = None
INNER: ContextVar[Catalogue | None] = ContextVar("INNER", default=None)
"""The catalogue of a block (`polygan.plugins.handed.using`)."""


def get_catalogue() -> Catalogue:
    """The catalogue in use: that of `using`, else what `set_catalogue` set, else all installed plugins, loaded at the first call."""
    global _catalogue
    if (inner := INNER.get()) is not None:
        return inner
    if _catalogue is None:
        _catalogue = load_catalogue()
    return _catalogue


def set_catalogue(catalogue: Catalogue | None) -> None:
    """Make ``catalogue`` the catalogue of this process; None: `get_catalogue` loads the plugins anew."""
    global _catalogue
    _catalogue = catalogue


def add_candidate(catalogue: Catalogue, candidate: Candidate, strict: bool) -> None:
    """Load one plugin into the catalogue; if that fails, record the reason (``strict``: raise it)."""
    status = candidate.status
    try:
        with watched(status) as remarks:
            plugin = candidate.load()
            manager, hooks, deprecated = attach(plugin)
            specs = {kind.name: collect(manager, kind) for kind in KINDS.values() if kind.hook in hooks}
        free, taken = divided(specs, catalogue._owners)
        events = len(hooks) - len(specs)
        if taken and (strict or not (events or any(free.values()))):
            raise Refused("; ".join(taken.values()))
        provides = {KINDS[name].plural: len(found) for name, found in free.items() if found}
        if events:
            provides["events"] = events
        reason = "; ".join(filter(None, (*taken.values(), unmarked(plugin), *deprecated, *remarks)))
        loaded = dataclasses.replace(status, status="loaded", reason=reason, provides=provides, refused=tuple(taken))
        catalogue._register(loaded, manager, free)
        catalogue.plugins.append(loaded)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit, and the panic of an extension written in Rust
        name = status.name if status.distribution else ""
        reason = str(error) if isinstance(error, Refused) else explain(error, status.module, name)
        stem = Path(status.module).stem
        if not candidate.names and getattr(sys.modules.get(stem), "__file__", None) == status.module:
            del sys.modules[stem]  # a local file that was refused can be corrected and loaded again
        if strict:
            raise PluginError(f"{status}: {reason}") from error
        catalogue.plugins.append(dataclasses.replace(status, reason=reason))
