"""What settings may be. Each range stands once, beside its field: the check, the error and the help text read it there.

`unfit` checks whether a plugin's class can be read as settings at all. A fault is reported where the class is first used.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar, cast

from ..errors import ConfigError, did_you_mean, one_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")

_NUMBER = r"[-+]?(?:inf|\d+(?:\.\d*)?(?:e[-+]?\d+)?)"
_INTERVAL = re.compile(rf"([\[(])\s*({_NUMBER})\s*,\s*({_NUMBER})\s*([\])])")


class Interval(NamedTuple):
    """The numbers from ``low`` to ``high``, with or without each end."""

    low: float
    high: float
    with_low: bool = True
    with_high: bool = True
    text: str = ""

    @classmethod
    def read(cls, text: str) -> Interval:
        """The interval that a text means: ``"(0, 1]"``, ``"[1, inf)"``, or one number. Raises ValueError for other text."""
        if re.fullmatch(_NUMBER, text):
            return cls(float(text), float(text), text=text)
        found = _INTERVAL.fullmatch(text)
        if found is None or float(found[2]) > float(found[3]):
            raise ValueError(f"{text!r} is not a range: write e.g. '(0, 1]', '[1, inf)' or '0 or [2, inf)'")
        return cls(float(found[2]), float(found[3]), found[1] == "[", found[4] == "]", text)

    def holds(self, value: float) -> bool:
        """Whether a number lies inside. NaN lies nowhere."""
        above = value >= self.low if self.with_low else value > self.low
        return above and (value <= self.high if self.with_high else value < self.high)

    def __str__(self) -> str:
        if self.low == self.high:
            return self.text
        if self.high == math.inf:
            return f"{'at least' if self.with_low else 'more than'} {self.low:g}"
        return self.text


class Range(NamedTuple):
    """The numbers that a setting may be, and the hint for a user whose number is outside."""

    intervals: tuple[Interval, ...]
    hint: str = ""

    def __str__(self) -> str:
        return " or ".join(map(str, self.intervals))

    def fault(self, value: float) -> str:
        """What is wrong with a number, with the remedy; empty if the number is allowed."""
        first = self.intervals[0]
        if any(interval.holds(value) for interval in self.intervals):
            return ""
        if isinstance(value, float) and not math.isfinite(value):  # an int may be too large for a float
            said = f"is not finite; use {'a number in ' if str(self).startswith(('(', '[')) else ''}{self}"
        elif len(self.intervals) > 1:
            said = f"is not allowed; use {self}"
        elif first.high == math.inf:
            said = f"is too small; {'the least is' if first.with_low else 'use more than'} {first.low:g}"
        else:
            said = f"is outside {self}"
        return "; ".join(filter(None, (said, self.hint)))


def ranged(default: T, within: str, *, usual: object = "", hint: str = "") -> T:
    """A field of a `Checked` dataclass with its range: ``learning_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")``.

    ``within`` is an interval with round or square brackets, ``inf`` for no bound, or several choices: ``"0 or [2, inf)"``.
    A tuple is checked entry by entry; None and text pass. ``usual`` or ``hint`` ends the error message:
    `"...; 2e-4 is usual"`, or the hint itself.
    """
    intervals = tuple(Interval.read(part) for part in within.split(" or "))
    said = hint or (f"{usual} is usual" if usual != "" else "")
    return cast("T", dataclasses.field(default=default, metadata={"range": Range(intervals, said)}))


@dataclass(frozen=True)
class Checked:
    """Base of frozen dataclasses of settings. A new instance checks its choices (``Literal``) and ranges (`ranged`).

    ``group`` is what users type before a field's name: ``class Config(Checked, group="model")`` makes errors say
    ``model.width = 0 is too small; the least is 1``. Subclasses inherit it. A subclass with checks of its own calls
    ``super().__post_init__()`` first.
    """

    _prefix: ClassVar[str] = ""

    def __init_subclass__(cls, *, group: str | None = None, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if group is not None:
            cls._prefix = f"{group}." if group else ""

    def __post_init__(self) -> None:
        for name, hint, range_ in _rules(type(self)):
            value = getattr(self, name)
            if fault := choice_fault(value, hint) or _range_fault(value, range_):
                shown = repr(value) if isinstance(value, str) else value
                raise ConfigError(f"{self._prefix}{name} = {shown} {fault}")


@cache
def _rules(config: type) -> tuple[tuple[str, object, Range | None], ...]:
    """Name, type and range of each field that has choices or a range."""
    hints, ranges = typing.get_type_hints(config), ranges_of(config)
    rules = [(f.name, hints[f.name], ranges.get(f.name)) for f in dataclasses.fields(config)]
    return tuple(rule for rule in rules if rule[2] is not None or choices(rule[1]))


def ranges_of(config: type) -> dict[str, Range]:
    """The declared ranges of a dataclass, by field."""
    return {f.name: f.metadata["range"] for f in dataclasses.fields(config) if "range" in f.metadata}


def choice_fault(value: object, hint: object) -> str:
    """What is wrong with a value of a type that lists choices, with the remedy; empty if the value is allowed."""
    known = choices(hint)
    if not known or any(value == choice and type(value) is type(choice) for choice in known):
        return ""
    others = [part for part in parts(hint) if typing.get_origin(part) is not typing.Literal]
    if any(_may_be(value, part) for part in others):
        return ""
    names = [str(choice) or "''" for choice in known]
    return f"is unknown{did_you_mean(str(value), names)}; known are {', '.join(names)}"


def _may_be(value: object, part: object) -> bool:
    """Whether a value may have a type. True for a type that is not a plain class: the parser checks such types."""
    if part is float:
        return isinstance(value, int | float)
    kind = typing.get_origin(part) or part
    return not isinstance(kind, type) or isinstance(value, kind)


def _range_fault(value: object, range_: Range | None) -> str:
    if range_ is None or value is None or isinstance(value, str | bool):
        return ""
    if isinstance(value, Iterable):
        return next(filter(None, (_range_fault(entry, range_) for entry in value)), "")
    return range_.fault(value) if isinstance(value, int | float) else ""


def parts(hint: object) -> tuple[object, ...]:
    """The members of a union. Any other type is its only member."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if union else (hint,)


def choices(hint: object) -> tuple[object, ...]:
    """The values of the ``Literal`` in a type; empty if it has none."""
    return tuple(v for part in parts(hint) if typing.get_origin(part) is typing.Literal for v in typing.get_args(part))


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
