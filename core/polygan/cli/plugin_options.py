"""Options of a plugin's command: a frozen dataclass, as a recipe's settings are."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ..errors import ConfigError
from ..settings.help import Entry, listing, option_entries
from ..settings.parser import build, option_types
from ..settings.words import is_option, read_words, stray

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


def read_options(command: str, kind: type[T], words: Sequence[str], *, first: str | Sequence[str] = "") -> T | None:
    """The options of the plugin's command ``polygan COMMAND ...``, an instance of the frozen dataclass ``kind``.

    The docstrings of the fields are the help text. The field called ``first`` is typed as a word without a name, and must be there;
    several such fields are typed in order. Returns None after ``--help`` was answered. Raises ConfigError for an unknown option, a stray word and a value out of range.
    """
    places = [first] if isinstance(first, str) and first else list(first)
    types = {name: of for name, of in option_types(kind).items() if name not in places}
    if {"--help", "-h"} & {*words}:
        print(_help(command, kind, places))
        return None
    values, rest = read_words(words, types)
    for place in places:
        at = next((i for i, word in enumerate(rest) if not is_option(word)), None)
        if at is None and not rest:
            raise ConfigError(f"which {place}? `{_usage(command, places)}`; `polygan {command} --help` explains it")
        if at is not None:
            values[place] = rest.pop(at)
    if rest:
        raise stray(rest, types, f"polygan {command}", f"`polygan {command} --help` lists the options")
    return build(kind, values, f"polygan {command}")


def _usage(command: str, places: Sequence[str]) -> str:
    return " ".join([f"polygan {command}", *(place.upper() for place in places), "[options]"])


def _help(command: str, kind: type, places: Sequence[str]) -> str:
    entries = option_entries(kind)
    parts = [f"{_usage(command, places)}\n\n{' '.join((kind.__doc__ or '').split())}"]
    if places:
        parts.append(listing("first", [Entry(place.upper(), entries.pop(place).said) for place in places]))
    return "\n\n".join([*parts, listing("options", [*entries.values(), Entry("--help, -h", "show this")])])
