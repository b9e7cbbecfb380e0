"""The numbered formats of saved settings, and the migration from each format to the next.

Format 1: the file has no number; a run holds the settings of every data set of its domain; ``features`` is called ``judge``.
Format 2: the file begins with its number; a run holds only the settings of its own data set.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ..errors import ConfigError

FORMAT = 2
"""The format that polygan writes."""

Layer = Mapping[str, object]
"""Settings from one place: a file, keywords or options."""


@dataclass(frozen=True)
class Names:
    """The names of data settings. They tell a migration which settings to keep."""

    own: Collection[str]
    """The names that the run's own data has."""
    elsewhere: Callable[[], Collection[str]]
    """The names that any data set of the domain has; called only where a file holds a name that is not in ``own``."""


def with_format(saved: Layer, place: str) -> dict[str, object]:
    """Settings from a file, with the number of their format. A file without a number has format 1. Raises ConfigError."""
    number = saved.get("format", 1)
    if type(number) is not int or number < 1:
        raise ConfigError(f"{place} has format {number!r}: write format: {FORMAT}, or leave the line out")
    if number > FORMAT:
        raise ConfigError(
            f"{place} has format {number}, and this polygan reads formats up to {FORMAT}: pip install --upgrade polygan"
        )
    return {**saved, "format": number}


def migrated(layer: Layer, names: Names) -> Layer:
    """Settings of any known format in today's format. Settings without a number never were in a file, and are today's."""
    number = layer.get("format", FORMAT)
    for earlier in range(number if isinstance(number, int) else FORMAT, FORMAT):
        layer = MIGRATIONS[earlier](layer, names)
    return layer


def _to_format_2(layer: Layer, names: Names) -> Layer:
    """Leave out the data settings that only other data sets have, and rename ``judge`` to ``features``."""
    layer = {"features" if name == "judge" else name: value for name, value in layer.items()}
    data = layer.get("data")
    if not isinstance(data, Mapping) or all(name in names.own for name in data):
        return layer
    others = set(names.elsewhere()) - set(names.own)
    return {**layer, "data": {name: value for name, value in data.items() if name not in others}}


MIGRATIONS: Mapping[int, Callable[[Layer, Names], Layer]] = {1: _to_format_2}
"""The migration from format n to format n + 1, by n."""
