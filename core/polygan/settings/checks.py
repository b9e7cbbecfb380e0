"""The check that a plugin's class can be read as settings. A fault is reported where the class is first used."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import one_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def unfit(config: object, name: str) -> str:
    """What is wrong with the settings class ``config``, called ``name``, with the remedy; empty if nothing is."""
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        return f"{name} is not a dataclass: decorate it with @dataclass(frozen=True)"
    try:
        hints = typing.get_type_hints(config)
    except Exception as error:
        return f"the types of {name} cannot be read ({one_line(error)}): correct them"
    for key, value in (item for cls in config.__mro__ for item in vars(cls).items()):
        if not key.startswith("_") and key not in hints and _is_plain(value):
            return f"{name}.{key} has no type: write {key}: {type(value).__name__} = {value!r:.40}"
    for f in dataclasses.fields(config):
        if f.init and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            return f"{name}.{f.name} has no default: give it one"
    try:
        values = _values(config())
    except Exception as error:
        return f"{name}() raises {one_line(error)}: correct its defaults"
    for key, value in values.items():
        if not _is_plain(value):
            return f"{name}.{key} = {value!r:.80} is not plain data: use numbers, text, booleans, or tuples of them"
        if not _fits(value, hints.get(key)):
            return f"{name}.{key} = {value!r:.40} does not fit its type: correct the default or the type"
    return ""


def _values(made: DataclassInstance) -> dict[str, object]:
    return {f.name: getattr(made, f.name) for f in dataclasses.fields(made)}


def _is_plain(value: object) -> bool:
    """Whether YAML can hold a value. Every run writes its settings to a YAML file."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return all(map(_is_plain, _values(value).values()))
    if isinstance(value, dict):
        return all(_is_plain(part) for item in value.items() for part in item)
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str) or isinstance(value, Path)


def _fits(value: object, hint: object) -> bool:
    """Whether a value fits a simple type. True for any other type, which the parser of the settings checks."""
    if typing.get_origin(hint) is typing.Literal:
        return value in typing.get_args(hint)
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, hint) if hint is bool or hint is int or hint is str else True
