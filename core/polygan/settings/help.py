"""Help texts: options with their types, defaults, ranges and meanings, as wide as the terminal. Imports no torch."""

from __future__ import annotations

import dataclasses
import types
import typing
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from ..messages import printable
from .ranges import choices, parts
from .words import is_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_NAMES: Mapping[object, str] = {int: "INT", float: "NUMBER", str: "TEXT", bool: "true|false"}
_COLUMN = 26


class Entry(NamedTuple):
    """One entry of a help text: what the user types, and what it does."""

    typed: str
    said: str


def listing(title: str, entries: Sequence[Entry]) -> str:
    """A titled list with two columns: what the user types, and what it does."""
    import shutil
    import textwrap

    width = min(max(shutil.get_terminal_size().columns, 60), 110)
    lines = [f"{title}:"]
    for entry in entries:
        said = textwrap.wrap(printable(" ".join(entry.said.split())), width - _COLUMN - 2, break_long_words=False) or [
            ""
        ]
        if len(entry.typed) <= _COLUMN - 2:
            lines.append(f"  {entry.typed:{_COLUMN - 1}} {said.pop(0)}".rstrip())
        else:
            lines.append(f"  {entry.typed}")
        lines += [" " * (_COLUMN + 2) + line for line in said if line]
    return "\n".join(lines)


def option_entries(config: type, prefix: str = "", defaults: Mapping[str, object] | None = None) -> dict[str, Entry]:
    """An entry for each field of a dataclass of settings, by the prefix and the field's name."""
    from .ranges import ranges_of

    hints, said, ranges = typing.get_type_hints(config), meanings(config), ranges_of(config)
    entries = {}
    for field in dataclasses.fields(config):
        name = f"{prefix}{field.name}"
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        default = (defaults or {}).get(name, default)
        about = said.get(field.name, "")
        facts = [str(ranges[field.name])] if field.name in ranges else []
        facts += [] if default in ("", None, ()) else [f"default: {plain_text(default)}"]
        entries[name] = Entry(
            typed_text(name, hints[field.name]), f"{about} ({'; '.join(facts)})".strip() if facts else about
        )
    return entries


def typed_text(name: str, kind: object) -> str:
    """How a user types a setting: ``--steps INT``, ``--loss hinge|minimax``, ``--[no-]compile``."""
    return f"--[no-]{name}" if kind is bool else f"--{name} {kind_text(kind)}"


def kind_text(kind: object) -> str:
    """The word that stands for values of a type: ``INT``, ``hinge|minimax``, ``TEXT ...`` for a list."""
    if is_list(kind):
        of = {kind_text(arg) for part in parts(kind) for arg in typing.get_args(part) if arg is not ...} or {"TEXT"}
        return f"{of.pop() if len(of) == 1 else 'VALUE'} ..."
    names = []
    for part in parts(kind):
        if part is not types.NoneType:
            names.append("|".join(str(choice) or "''" for choice in choices(part)) or _NAMES.get(part, "VALUE"))
    return "|".join(names)


def plain_text(value: object) -> str:
    """How a user types a default."""
    if isinstance(value, tuple | list):
        return " ".join(map(plain_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def meanings(config: type) -> Mapping[str, str]:
    """The docstring below each field of a dataclass and of its bases. A class without source has no docstrings here."""
    import ast
    import inspect
    import textwrap

    found: dict[str, str] = {}
    for cls in reversed(config.__mro__):
        try:
            (tree,) = (
                ast.parse(textwrap.dedent(inspect.getsource(cls))).body if dataclasses.is_dataclass(cls) else [None]
            )
        except (OSError, TypeError, SyntaxError, ValueError):
            continue
        if not isinstance(tree, ast.ClassDef):
            continue
        for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                text = after.value if isinstance(after, ast.Expr) else None
                said = text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
                found[node.target.id] = " ".join(said.split())
    return found
