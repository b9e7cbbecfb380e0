"""Saved settings: YAML of bounded depth and size, the numbered formats, and the migration from each format to the next.

Format 1: the file has no number; a run holds the settings of every data set of its domain; ``features`` is called ``judge``.
Format 2: the file begins with its number; a run holds only the settings of its own data set.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent

from ..errors import ConfigError
from ..reading import DEEPEST

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


MOST_NODES = 20_000
"""The most values of a file, with each alias counted as large as what it repeats."""
_LARGEST = 10**40
_LOADER = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml is several times as fast, where PyYAML was built with it


def parse_yaml(text: str) -> object:
    """The value in a YAML text. Raises ValueError for anything else, and for a text that is too deep or expands too far."""
    try:
        _check_size(text)
        found = yaml.load(text, _LOADER)
    except (yaml.YAMLError, RecursionError, OverflowError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    _check_numbers(found)
    return found


def _check_size(text: str) -> None:
    """Count the values before anything is expanded."""
    count = 0
    sizes: dict[str | None, int] = {}
    opened: list[tuple[str | None, int]] = []
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, AliasEvent):
            count += sizes.get(event.anchor, 0)
        elif isinstance(event, CollectionStartEvent):
            opened.append((event.anchor, count))
            count += 1
            sizes[event.anchor] = MOST_NODES  # what holds itself would never end
        elif isinstance(event, NodeEvent):
            count += 1
            sizes[event.anchor] = 1
        elif isinstance(event, CollectionEndEvent):
            anchor, before = opened.pop()
            sizes[anchor] = count - before
        if len(opened) > DEEPEST:
            raise ValueError(f"more than {DEEPEST} levels of nesting")
        if count > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES:,} values")


def _check_numbers(value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_numbers(key)
            _check_numbers(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            _check_numbers(item)
    elif isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError("an integer of more than 40 digits")
