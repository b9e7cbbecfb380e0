"""YAML of bounded depth and size: aliases of aliases, which expand to gigabytes, and huge numbers are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from ..reading import DEEPEST

if TYPE_CHECKING:
    from yaml.nodes import Node

MOST_NODES = 20_000
"""The most values of a file, with each alias counted as large as what it repeats."""
_LARGEST = 10**40


class _BoundedLoader(yaml.SafeLoader):
    """Counts values while they are composed, before anything is expanded."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.count, self.depth = 0, 0
        self.sizes: dict[int, int] = {}

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        repeats, before = self.check_event(yaml.AliasEvent), self.count
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} levels of nesting")
        node = super().compose_node(parent, index)
        self.depth -= 1
        # The size of a node that holds itself is not known yet: it would never end.
        self.count += self.sizes.get(id(node), MOST_NODES) if repeats else 1
        if self.count > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES:,} values")
        if not repeats:
            self.sizes[id(node)] = self.count - before
        return node


def parse_yaml(text: str) -> object:
    """The value in a YAML text. Raises ValueError for anything else, and for a text that is too deep or expands too far."""
    try:
        found = _BoundedLoader(text).get_single_data()
    except (yaml.YAMLError, RecursionError, OverflowError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    _check_numbers(found)
    return found


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
