"""Collecting and checking the specs that a plugin's hooks return; `Refused` names the wrong spec and what to write."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from typing import TYPE_CHECKING

from .discovery import Refused
from .kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pluggy import PluginManager

    from .discovery import PluginStatus
    from .kinds import Kind, Spec

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
