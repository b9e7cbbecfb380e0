"""Formats of saved settings, by number, and what makes an earlier format today's.

1: no number on top; every run of a domain holds the settings of all its data sets; ``features`` is called ``judge``.
2: a run holds the settings of its own data set alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError

FORMAT = 2
"""The format that is written."""

Layer = Mapping[str, Any]


@dataclass(frozen=True)
class Names:
    """Names of data settings, which a migration decides by."""

    own: Collection[str]
    """Those of the run's data."""
    elsewhere: Callable[[], Collection[str]]
    """Those of every data set of the domain; asked for only where a name is not the run's own."""


def with_format(saved: Layer, place: str) -> dict[str, Any]:
    """Settings from a file with the number of their format; a file without one is of format 1. Raises ConfigError."""
    number = saved.get("format", 1)
    if type(number) is not int or number < 1:
        raise ConfigError(f"{place} has format {number!r}: write format: {FORMAT}, or leave the line out")
    if number > FORMAT:
        raise ConfigError(
            f"{place} has format {number}, and this polygan reads formats up to {FORMAT}: pip install --upgrade polygan"
        )
    return {**saved, "format": number}


def migrated(layer: Layer, names: Names) -> Layer:
    """Settings of any known format as today's. Settings that never were in a file have no number and are today's."""
    for number in range(layer.get("format", FORMAT), FORMAT):
        layer = MIGRATIONS[number](layer, names)
    return layer


def _to_format_2(layer: Layer, names: Names) -> Layer:
    """Leave out the data settings that only other data sets have; ``judge`` is called ``features``."""
    layer = {"features" if name == "judge" else name: value for name, value in layer.items()}
    data = layer.get("data")
    if not isinstance(data, Mapping) or all(name in names.own for name in data):
        return layer
    others = set(names.elsewhere()) - set(names.own)
    return {**layer, "data": {name: value for name, value in data.items() if name not in others}}


MIGRATIONS: Mapping[int, Callable[[Layer, Names], Layer]] = {1: _to_format_2}
"""What makes a format the next one, by the number of the earlier."""
