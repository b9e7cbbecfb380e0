"""A catalogue with what a script hands in: recipes, domains, data and metrics that no plugin registered."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .catalogue import INNER, Catalogue, add_candidate, get_catalogue
from .discovery import Candidate, PluginStatus
from .importing import load_file
from .kinds import KINDS, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .kinds import Spec

SCRIPT = PluginStatus("script", "a script", "", "", "loaded")
"""The owner of what a script hands in, as messages name it."""


class Handed(Catalogue):
    """All that another catalogue has, and objects that a script handed in, each with its spec.

    The other catalogue stays as it is. The class of a handed-in target is checked as that of a plugin.
    """

    def __init__(self, base: Catalogue, objects: Iterable[tuple[Spec, object]]) -> None:
        super().__init__(strict=base.strict)
        for kind in KINDS:
            self.table(kind).update(base.table(kind))
        self.plugins, self.handed = base.plugins, dict(base.handed)
        self._owners, self._disputed, self._listeners = dict(base._owners), base._disputed, base._listeners
        self._objects = dict(base._objects) if isinstance(base, Handed) else {}
        for spec, target in objects:
            kind = kind_of(spec)
            id = kind.id(spec)
            self.table(kind.name)[id] = spec
            self._owners[kind.name, id] = SCRIPT
            self._objects[kind.name, id] = target

    def _import(self, spec: Spec, path: str) -> object:
        kind = kind_of(spec)
        found = self._objects.get((kind.name, kind.id(spec)))
        return super()._import(spec, path) if found is None else found


def add_plugins(plugins: Iterable[object]) -> None:
    """Load plugins that a script hands in: modules and objects with hook implementations, or paths of Python files.

    They stay in this process's catalogue, beside the installed plugins. A plugin that is there already counts once. Raises
    PluginError for a plugin that cannot be used, or that has an id of another plugin: both are named.
    """
    if isinstance(plugins, str | Path) or not hasattr(plugins, "__iter__"):
        raise ConfigError(f"plugins = {plugins!r:.80} is no list: write plugins=[...]")
    catalogue = get_catalogue()
    for plugin in plugins:
        if isinstance(plugin, str | Path):
            path = Path(plugin).expanduser().resolve()
            name, place, load = path.stem, str(path), partial(load_file, path)
            there = any(p.module == place for p in catalogue.plugins)
        else:
            full = str(getattr(plugin, "__name__", "") or f"{type(plugin).__module__}.{type(plugin).__qualname__}")
            name, load = full.rpartition(".")[2], partial(_same, plugin)
            place = str(getattr(plugin, "__file__", None) or full)
            there = any(plugin is known for known in catalogue.added) or (
                isinstance(plugin, ModuleType) and any(p.module in (full, place) for p in catalogue.plugins)
            )
        if there:
            continue
        candidate = Candidate(PluginStatus(name, place, "", "", "failed"), frozenset((name,)), load)
        add_candidate(catalogue, candidate, strict=True)
        catalogue.added.append(plugin)


def _same(plugin: object) -> object:
    return plugin


@contextmanager
def using(catalogue: Catalogue) -> Iterator[None]:
    """Make ``catalogue`` the catalogue in use within this block, for this thread alone."""
    token = INNER.set(catalogue)
    try:
        yield
    finally:
        INNER.reset(token)
