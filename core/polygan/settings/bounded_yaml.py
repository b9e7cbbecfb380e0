"""YAML of bounded depth and size: aliases of aliases, which expand to gigabytes, and huge numbers are refused."""

from __future__ import annotations

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent

from ..reading import DEEPEST

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
