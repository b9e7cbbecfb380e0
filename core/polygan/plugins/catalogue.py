"""The catalogue of what plugins registered, and loading them one at a time.

Every plugin gets a pluggy manager of its own: what one does wrong is recorded with its name, distribution, version and
the remedy, and never stops another. Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections import Counter
from contextlib import redirect_stdout
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ConfigError, PluginError, did_you_mean, one_line
from ..messages import warn
from ..settings.checks import SETTINGS, unfit
from .discovery import (
    HOOKS,
    KINDS,
    Candidate,
    PluginStatus,
    Refused,
    attach,
    collect,
    explain,
    installed,
    load_file,
    unmarked,
    watched,
    where,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pluggy import PluginManager

    from ..hookspecs import DatasetSpec, DomainSpec, FormatSpec, MetricSpec, RecipeSpec

    Spec = DomainSpec | RecipeSpec | DatasetSpec | MetricSpec | FormatSpec

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
        self.plugins: list[PluginStatus] = []
        self.strict = strict
        self._owners: dict[tuple[str, str], PluginStatus] = {}
        self._listeners: list[tuple[PluginStatus, PluginManager]] = []
        self._raised: Counter[tuple[str, str]] = Counter()

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
        found = (s for s in self.formats.values() if s.recipe == recipe and s.direction == direction)
        return {spec.format: spec for spec in found}

    def format(self, recipe: str, name: str, direction: str) -> FormatSpec:
        """A format of a recipe; an empty ``name`` is the only one. `polygan.ConfigError` if there is none of that name."""
        known = self.formats_of(recipe, direction)
        if name in known or (not name and len(known) == 1):
            return known[name or next(iter(known))]
        named = f" as {name!r}{did_you_mean(name, known)}" if name else ""
        fault = "name one with --format" if known and not name else "no plugin has it"
        own = ("safetensors",) if direction == "export" else ()
        there = ", ".join((*own, *known)) or "none"
        raise ConfigError(f"{direction} of {recipe}{named}: {fault}; the formats are {there}")

    def owner(self, kind: str, id: str) -> PluginStatus:
        """The plugin that registered an id; ``kind``: ``"domain"``, ``"recipe"``, ``"dataset"`` or ``"metric"``."""
        if kind not in KINDS:
            raise ConfigError(f"no kind {kind!r}{did_you_mean(kind, KINDS)}; there are {', '.join(KINDS)}")
        self._find(kind, getattr(self, f"{kind}s"), id)
        return self._owners[kind, id]

    def resolve(self, spec: Spec) -> Any:
        """Import what a spec's target names.

        Raises `polygan.PluginError` if it cannot be imported, is no subclass of `polygan.Domain` or `polygan.Recipe` (no
        callable, for data sets and metrics), or if a class of settings that it carries cannot be read as such.
        """
        kind = next(kind for kind, cls in KINDS.items() if isinstance(spec, cls))
        owner = self._owners.get((kind, spec.id))
        place = f"{kind} {spec.id!r} of {owner}" if owner else f"{kind} {spec.id!r}"
        module, _, attributes = spec.target.partition(":")
        try:
            with redirect_stdout(sys.stderr):  # a program may read stdout
                target = import_module(module)
                for attribute in attributes.split("."):
                    target = getattr(target, attribute)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            reason = explain(error, module, owner.name if owner and owner.distribution else "")
            raise PluginError(f"{place}: cannot import {spec.target!r}: {reason}") from error
        wanted, fits = "a callable", callable(target)
        if kind in ("domain", "recipe"):
            base = getattr(import_module("polygan"), kind.title())
            wanted = f"a subclass of polygan.{base.__name__}"
            fits = isinstance(target, type) and issubclass(target, base)
        if not fits:
            raise PluginError(f"{place}: {spec.target!r} is not {wanted}: correct the spec's target")
        if kind == "recipe" and not isinstance(getattr(target, "domain", None), str):
            raise PluginError(f"{place}: {spec.target!r} names no domain: set domain = the domain's id")
        for name in SETTINGS.get(kind, ()):
            if fault := unfit(getattr(target, name, None), f"{spec.target}.{name}"):
                raise PluginError(f"{place}: {fault}")
        return target

    def emit(self, hook_name: str, **kwargs: Any) -> None:
        """Tell every plugin of a run event, one at a time.

        What a listener raises is one line on stderr the first time and counted after that; the count is printed
        when the run ends. Strict mode raises `polygan.PluginError` instead.
        """
        if hook_name not in HOOKS:
            raise ValueError(f"no hook {hook_name!r}{did_you_mean(hook_name, HOOKS)}")
        for status, manager in self._listeners:
            try:
                getattr(manager.hook, hook_name)(**kwargs)
            except Exception as error:
                line = f"{status}: {hook_name} raised {one_line(error)}{where(error)}"
                if self.strict:
                    raise PluginError(f"{line}: correct it or leave it out") from error
                self._raised[str(status), hook_name] += 1
                if self._raised[str(status), hook_name] == 1:
                    warn(f"{line}; the run goes on, repeats are counted")
        if hook_name == "polygan_run_ended":
            for (plugin, hook), count in self._raised.items():
                if count > 1:
                    warn(f"{plugin}: {hook} raised {count} times")
            self._raised.clear()

    def _find(self, kind: str, table: Mapping[str, _T], id: str) -> _T:
        if id in table:
            return table[id]
        shown = ", ".join(table) if len(table) <= 8 else f"{len(table)} of them in `polygan list`"
        message = f"no {kind} {id!r}{did_you_mean(id, table)}; "
        message += f"there are {shown}" if table else "no plugin that is loaded brings one: see `polygan plugins`"
        for status, verb in (("failed", "failed to load: see `polygan plugins`"), ("disabled", "disabled")):
            names = [repr(p.name) for p in self.plugins if p.status == status]
            if names:
                message += f"; plugin{'s' * (len(names) > 1)} {', '.join(names)} {verb}"
        raise ConfigError(message)

    def _register(self, status: PluginStatus, manager: PluginManager, specs: Mapping[str, list[Any]]) -> None:
        """Take over a plugin as a whole; raises `Refused` and changes nothing if one of its ids is taken."""
        for kind, found in specs.items():
            for spec in found:
                if holder := self._owners.get((kind, spec.id)):
                    raise Refused(
                        f"{kind} {spec.id!r} is already registered by {holder}: rename one, or leave one plugin out"
                    )
        for kind, found in specs.items():
            getattr(self, f"{kind}s").update({spec.id: spec for spec in found})
            self._owners.update({(kind, spec.id): status for spec in found})
        self._listeners.append((status, manager))


def load_catalogue(
    *,
    disabled: Iterable[str] = (),
    files: Iterable[str | Path] = (),
    allow: Iterable[str] | None = None,
    strict: bool | None = None,
) -> Catalogue:
    """Load every installed plugin, then the local ``files``, and return what they registered.

    ``disabled`` and ``allow`` hold names of entry points and act before anything is imported; `polygan.ConfigError`
    names one that is not installed. ``allow`` None: ``$POLYGAN_PLUGINS``, comma separated, if set; an empty list means
    none. A plugin that fails is recorded, or raises `polygan.PluginError` if ``strict`` (None: ``$POLYGAN_STRICT`` is
    set and not 0); a local file that fails always raises.
    """
    if strict is None:
        strict = os.environ.get("POLYGAN_STRICT", "0") not in ("", "0")
    origin = "the allow list"
    if allow is None and (listed := os.environ.get("POLYGAN_PLUGINS")) is not None:
        allow, origin = filter(None, map(str.strip, listed.split(","))), "POLYGAN_PLUGINS"
    catalogue, candidates = Catalogue(strict=strict), installed()
    known = sorted({name for candidate in candidates for name in candidate.names})
    allowed = set(known) if allow is None else _known(allow, known, origin)
    unwanted = _known(disabled, known, "--no-plugin")
    for candidate in candidates:
        if candidate.names & unwanted or not candidate.names & allowed:
            reason = "--no-plugin" if candidate.names & unwanted else f"not in {origin}"
            catalogue.plugins.append(dataclasses.replace(candidate.status, status="disabled", reason=reason))
        else:
            _add(catalogue, candidate, strict)
    for path in dict.fromkeys(Path(file).expanduser().resolve() for file in files):
        name = path.name if path.stem in known else path.stem
        status = PluginStatus(name, str(path), "", "", "failed")
        _add(catalogue, Candidate(status, frozenset(), partial(load_file, path)), strict=True)
    return catalogue


_catalogue: Catalogue | None = None


def get_catalogue() -> Catalogue:
    """The catalogue of this process: the one that was set, else all installed plugins, loaded at the first call."""
    global _catalogue
    if _catalogue is None:
        _catalogue = load_catalogue()
    return _catalogue


def set_catalogue(catalogue: Catalogue | None) -> None:
    """Make ``catalogue`` the one that this process uses; None: load it anew when it is next needed."""
    global _catalogue
    _catalogue = catalogue


def _known(names: Iterable[str], known: list[str], origin: str) -> set[str]:
    names = set(names)
    for name in sorted(names - set(known)):
        there = ", ".join(known) or "none"
        raise ConfigError(f"{origin}: no plugin {name!r}{did_you_mean(name, known)}; installed: {there}")
    return names


def _add(catalogue: Catalogue, candidate: Candidate, strict: bool) -> None:
    """Load one plugin into the catalogue, or record (``strict``: raise) why it cannot be."""
    status = candidate.status
    try:
        with watched(status) as remarks:
            plugin = candidate.load()
            manager, hooks, deprecated = attach(plugin)
            specs = {kind: collect(manager, kind) for kind in KINDS if f"polygan_{kind}s" in hooks}
        provides = {f"{kind}s": len(found) for kind, found in specs.items() if found}
        if events := len(hooks) - len(specs):
            provides["events"] = events
        reason = "; ".join(filter(None, (unmarked(plugin), *deprecated, *remarks)))
        loaded = dataclasses.replace(status, status="loaded", reason=reason, provides=provides)
        catalogue._register(loaded, manager, specs)
        catalogue.plugins.append(loaded)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit, and the panic of an extension written in Rust
        name = status.name if status.distribution else ""
        reason = str(error) if isinstance(error, Refused) else explain(error, status.module, name)
        stem = Path(status.module).stem
        if getattr(sys.modules.get(stem), "__file__", None) == status.module:
            del sys.modules[stem]  # a local file that was refused can be corrected and loaded again
        if strict:
            raise PluginError(f"{status}: {reason}") from error
        catalogue.plugins.append(dataclasses.replace(status, reason=reason))
