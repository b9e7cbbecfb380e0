"""What the type of a setting allows."""

from __future__ import annotations

import types
import typing


def parts(hint: object) -> tuple[object, ...]:
    """The members of a union. Any other type is its only member."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if union else (hint,)


def choices(hint: object) -> tuple[object, ...]:
    """The values of the ``Literal`` in a type; empty if it has none."""
    return tuple(v for part in parts(hint) if typing.get_origin(part) is typing.Literal for v in typing.get_args(part))
