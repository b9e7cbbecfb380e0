"""Words of the command line -> option names with their text: one reader for runs, recipes and commands.

The reader does not know what an option means. The type of an option says which words belong to it, and `settings.parser`
checks the values.
"""

from __future__ import annotations

import os
import re
import types
import typing
from collections import deque
from typing import TYPE_CHECKING, Annotated

from ..errors import ConfigError, closest
from ..messages import warn
from .ranges import choices, parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Text = str | list[str]
"""What the user wrote after an option: one text, or the words of a list."""
Each = Annotated[str, "one word each time"]
"""The type of an option that a user may repeat. Its texts become a list."""

_LISTS = (tuple, list, set, frozenset)


def read_words(
    words: Sequence[str], types: Mapping[str, object], aliases: Mapping[str, str] | None = None
) -> tuple[dict[str, Text], list[str]]:
    """The text of each option in ``types``, and the words that belong to no option, in their order.

    ``--name value``, ``--name=value``; ``--name a b c`` up to the next option where the type is a list; ``--name`` and
    ``--no-name`` where the type is a bool. ``aliases`` are other ways to write a name: ``{"-n": "count"}``. A later
    option wins over an earlier option of the same name, and a warning says so if the two differ. Raises ConfigError for an option without its value.
    """
    values: dict[str, Text] = {}
    rest: list[str] = []
    queue = deque(words)
    while queue:
        word = queue.popleft()
        name, text = _name(word, types, aliases or {})
        if not name:
            rest.append(word)
            continue
        kind = types[name]
        value = _following(word, kind, queue) if text is None else _list_text([text], kind)
        if kind is Each:
            values[name] = [*values.get(name, []), str(value)]
        else:
            if values.get(name, value) != value and os.environ.get("RANK", "0") == "0":
                warn(f"{word.partition('=')[0]} is given more than once: the last value counts, {_shown(value)}")
            values[name] = value
    return values, rest


def is_option(word: str) -> bool:
    """Whether a word is written like an option. ``-0.5`` and ``-`` are values."""
    return re.match(r"--?[A-Za-z]", word) is not None


def is_switch(kind: object) -> bool:
    """Whether an option may stand without a value: a bool, or choices with "true" among them."""
    return kind is bool or "true" in choices(kind)


def is_list(kind: object) -> bool:
    """Whether an option takes all words up to the next option."""
    return str not in parts(kind) and any((typing.get_origin(part) or part) in _LISTS for part in parts(kind))


def nested(values: Mapping[str, Text]) -> dict[str, Text | dict[str, Text]]:
    """Options as a layer of settings: ``{"model.width": x}`` becomes ``{"model": {"width": x}}``."""
    layer: dict[str, Text | dict[str, Text]] = {}
    groups: dict[str, dict[str, Text]] = {}
    for name, value in values.items():
        group, _, field = name.rpartition(".")
        if group:
            layer[group] = groups.setdefault(group, {})
            groups[group][field] = value
        else:
            layer[field] = value
    return layer


def stray(
    words: Sequence[str], known: Iterable[str], what: str, remedy: str, meant: Mapping[str, str] | None = None
) -> ConfigError:
    """The error for words that belong to no option: an unknown option, with the closest known one, or a word too many.

    ``meant`` maps options of other commands, which users try here, to the right options.
    """
    word = words[0]
    if not is_option(word):
        return ConfigError(f"unexpected {word!r} for {what}: options begin with --, e.g. --steps 1000; {remedy}")
    option = word.partition("=")[0]
    name = option.lstrip("-").replace("-", "_")
    names = list(known)
    close = (meant or {}).get(name) or closest(name, names) or closest(name.removeprefix("no_"), names)
    hint = f" (did you mean --{close}?)" if close else ""
    return ConfigError(f"unknown option {option} of {what}{hint}; {remedy}")


def typed(option: str, text: Text, kind: object) -> object:
    """The text of an option as a value of a simple type. Raises ConfigError, which names the option."""
    if isinstance(text, list):
        return tuple(text)
    for part in parts(kind):
        try:
            if part is bool:
                return {"true": True, "false": False}[text.lower()]
            if part is int or part is float or part is str:
                return part(text)
        except (KeyError, ValueError):
            continue
        if text in choices(part):
            return text
    names = ", ".join(map(str, choices(kind))) or " or ".join(
        getattr(part, "__name__", str(part)) for part in parts(kind) if part is not types.NoneType
    )
    raise ConfigError(f"{option} = {text!r} is not of the right type; it takes {names}")


def _shown(text: Text) -> str:
    return text if isinstance(text, str) else " ".join(text)


def _name(word: str, types: Mapping[str, object], aliases: Mapping[str, str]) -> tuple[str, str | None]:
    """The option that a word names (empty if the word names none), and the text after "="."""
    option, equals, text = word.partition("=")
    name = aliases.get(option) or (option[2:] if option.startswith("--") else "")
    name = name if name in types else name.replace("-", "_")
    if name in types:
        return name, text if equals else None
    positive = name.removeprefix("no_")
    if positive != name and not equals and types.get(positive) is bool:
        return positive, "false"
    return "", None


def _following(option: str, kind: object, queue: deque[str]) -> Text:
    """Take the words that belong to an option from the front of the queue."""
    if is_switch(kind):
        alone = ("true", "false") if kind is bool else choices(kind)
        return queue.popleft().lower() if queue and queue[0].lower() in alone else "true"
    words = []
    while queue and not is_option(queue[0]) and (not words or is_list(kind)):
        words.append(queue.popleft())
    if not words:
        how = f"; a value that begins with - is written {option}={queue[0]}" if queue else ""
        raise ConfigError(f"{option} needs a value{how}")
    return _list_text(words, kind)


def _list_text(words: list[str], kind: object) -> Text:
    """The words of a list, or the only word of another type. A single word may be a whole list in YAML: ``[4, 5]``."""
    if not is_list(kind):
        return words[0]
    whole = len(words) == 1 and (words[0].startswith("[") or (words[0] == "null" and types.NoneType in parts(kind)))
    return words[0] if whole else words
