"""A catalogue with what a script hands in: recipes, domains, data and metrics that no plugin registered."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .catalogue import INNER, Catalogue
from .discovery import PluginStatus
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


@contextmanager
def using(catalogue: Catalogue) -> Iterator[None]:
    """Make ``catalogue`` the catalogue in use within this block, for this thread alone."""
    token = INNER.set(catalogue)
    try:
        yield
    finally:
        INNER.reset(token)
