"""A command: its places, its options, and how the words after its name become arguments; and the same for a plugin's command."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from ..errors import ConfigError
from ..settings.help import Entry, kind_text, listing, option_entries, plain_text
from ..settings.words import is_option, is_switch, read_words, stray, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..plugins.catalogue import Catalogue

Arguments = SimpleNamespace
"""The values of a command's places and options, by name."""

T = TypeVar("T")
HELP = Literal["true", "all"]
SHORT = {"-h": "help", "-n": "n"}


def written(name: str) -> str:
    """A command's own option as users type it: ``--dry-run``, ``-n``."""
    return f"-{name}" if f"-{name}" in SHORT else f"--{name.replace('_', '-')}"


class Place(NamedTuple):
    """An argument that a command takes by position."""

    name: str
    meaning: str
    required: bool = True


class Option(NamedTuple):
    """An option of a command. ``kind`` is a simple type: str, int, float, bool, a Literal, or a tuple of str."""

    kind: Any
    meaning: str
    default: object = None
    required: bool = False
    value: str = ""
    """The placeholder for the value in the help text; empty: the name of the type."""

    def entry(self, name: str) -> Entry:
        """The line of this option in the help text."""
        value = self.value or ("" if is_switch(self.kind) else kind_text(self.kind))
        shown = self.default not in (None, "", (), False)
        return Entry(
            f"{written(name)} {value}".strip(),
            f"{self.meaning} (default: {plain_text(self.default)})" if shown else self.meaning,
        )


JSON: Mapping[str, Option] = {"json": Option(bool, "machine-readable output", default=False)}
"""The option of commands that print JSON for programs."""


class Command(NamedTuple):
    """A command of polygan. ``run`` takes the catalogue, the arguments and the words that are left for a recipe's options."""

    summary: str
    run: Callable[[Catalogue, Arguments, list[str]], int | None]
    places: tuple[Place, ...] = ()
    options: Mapping[str, Option] = {}
    open: bool = False
    """Whether the command also takes a recipe's options; ``run`` then answers ``--help`` itself."""

    def usage(self, name: str) -> str:
        """A line that shows how to type the command: ``polygan export RUN --out FILE [options]``."""
        words = [f"polygan {name}"]
        words += [p.name.upper() if p.required else f"[{p.name.upper()}]" for p in self.places]
        words += [o.entry(key).typed for key, o in self.options.items() if o.required]
        return " ".join([*words, "[options]"])

    def help(self, name: str, entries: Iterable[Entry] | None = None) -> str:
        """The help text: usage, places and options of the command; ``entries`` are options that are typed in another way."""
        parts = [f"{self.usage(name)}\n\n{self.summary}"]
        if self.places:
            parts.append(listing("first", [Entry(p.name.upper(), p.meaning) for p in self.places]))
        return "\n\n".join([*parts, self.options_help(entries=entries)])

    def options_help(self, title: str = "options", entries: Iterable[Entry] | None = None) -> str:
        """The part of the help text about the command's own options."""
        entries = (option.entry(key) for key, option in self.options.items()) if entries is None else entries
        return listing(title, [*entries, Entry("--help, -h", "show this")])

    def read(self, name: str, words: Sequence[str]) -> tuple[Arguments, list[str]]:
        """Read words into arguments, and return the words that are left for a recipe. Raises ConfigError.

        Words after ``--`` are places, also where they begin with a dash.
        """
        at = list(words).index("--") if "--" in words else len(words)
        words, plain = words[:at], list(words[at + 1 :])
        kinds = {key: option.kind for key, option in self.options.items()}
        texts, rest = read_words(words, {**kinds, "help": HELP}, SHORT)
        values: dict[str, object] = {key: option.default for key, option in self.options.items()}
        values |= {key: typed(written(key), text, kinds[key]) for key, text in texts.items() if key != "help"}
        values["help"] = texts.get("help", "")
        remedy = f"`polygan {name} --help` lists them"
        for place in self.places:
            # In an open command only the first word can be a place: a later word may be the value of a recipe's option.
            at = next((i for i, word in enumerate(rest[: 1 if self.open else None]) if not is_option(word)), None)
            values[place.name] = rest.pop(at) if at is not None else plain.pop(0) if plain else None
        rest += plain
        if rest and not self.open:
            raise stray(rest, kinds, f"polygan {name}", remedy)
        if not values["help"]:
            self._refuse_gaps(name, values)
        return Arguments(**values), rest

    def _refuse_gaps(self, name: str, values: Mapping[str, object]) -> None:
        for place in self.places:
            if place.required and values[place.name] is None:
                example = "" if not self.open else f"; {place.name.upper()} comes first, options follow"
                raise ConfigError(f"which {place.name}? `{self.usage(name)}`{example}")
        for key, option in self.options.items():
            if option.required and values[key] is None:
                raise ConfigError(f"{written(key)} is missing: `{self.usage(name)}`")


def own_values(config: type, words: Sequence[str], what: str, owner: str, beside: Iterable[str] = ()) -> dict[str, Any]:
    """The values that words give to the options of ``config``, by name. ConfigError for a stray word: of ``what``, whose ``owner`` has
    these options, and which has others ``beside`` them."""
    from ..settings.parser import option_types

    types = option_types(config)
    values, rest = read_words(words, types)
    if rest:
        has = ", ".join(f"--{name}" for name in types) or "none of its own"
        raise stray(rest, [*types, *beside], what, f"{owner} has {has}")
    return values


def read_options(command: str, kind: type[T], words: Sequence[str], *, first: str | Sequence[str] = "") -> T | None:
    """The options of the plugin's command ``polygan COMMAND ...``, an instance of the frozen dataclass ``kind``.

    The docstrings of the fields are the help text. The field called ``first`` is typed as a word without a name, and must be there;
    several such fields are typed in order. Returns None after ``--help`` was answered. Raises ConfigError for an unknown option, a stray word and a value out of range.
    """
    from ..settings.parser import build, option_types  # slow to import, and no command of polygan needs it here

    places = [first] if isinstance(first, str) and first else list(first)
    types = {name: of for name, of in option_types(kind).items() if name not in places}
    entries = option_entries(kind)
    named = tuple(Place(name, entries.pop(name).said) for name in places)
    shown = Command(" ".join((kind.__doc__ or "").split()), lambda *_: None, named)
    if {"--help", "-h"} & {*words}:
        print(shown.help(command, entries.values()))
        return None
    values, rest = read_words(words, types)
    for place in places:
        at = next((i for i, word in enumerate(rest) if not is_option(word)), None)
        if at is None and not rest:
            raise ConfigError(f"which {place}? `{shown.usage(command)}`; `polygan {command} --help` explains it")
        if at is not None:
            values[place] = rest.pop(at)
    if rest:
        raise stray(rest, types, f"polygan {command}", f"`polygan {command} --help` lists the options")
    return build(kind, values, f"polygan {command}")
