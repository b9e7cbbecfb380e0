"""The options of generation (`polygan.Recipe.Sampling`) as a page offers them, and back from a page to values."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import math
import textwrap
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polygan
from polygan import ConfigError

Kind = Literal["switch", "choice", "whole", "number", "text"]


@dataclass(frozen=True)
class Option:
    """An option of generation."""

    name: str
    kind: Kind
    default: Any
    help: str = ""
    choices: tuple[Any, ...] = ()
    """Of kind ``"choice"``."""
    low: float = -math.inf
    high: float = math.inf
    """The bounds of a number."""
    optional: bool = False
    """Whether the option may be None: an empty field."""
    takes_text: bool = False
    """Whether the value may be text."""

    @property
    def title(self) -> str:
        """The name as a person reads it."""
        return self.name.replace("_", " ").capitalize()


def options_of(sampling: type) -> tuple[Option, ...]:
    """The options of a frozen dataclass of generation, in its order.

    Left out are options of other types than numbers, texts, switches and choices, and options in the class variable
    ``typed_only``, which name files and models of the machine.
    """
    hints, said = typing.get_type_hints(sampling), _docstrings(sampling)
    private = getattr(sampling, "typed_only", ())
    found = (
        _option(field, hints[field.name], said.get(field.name, ""))
        for field in dataclasses.fields(sampling)
        if field.name not in private
    )
    return tuple(option for option in found if option is not None)


def _option(field: dataclasses.Field[Any], hint: Any, said: str) -> Option | None:
    made = field.default_factory
    default = field.default if made is dataclasses.MISSING else made()
    kinds = [hint]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = list(typing.get_args(hint))
    optional = type(None) in kinds
    kinds = [kind for kind in kinds if kind is not type(None)]
    common = {"name": field.name, "default": default, "help": said, "optional": optional}
    if [typing.get_origin(kind) for kind in kinds] == [typing.Literal]:
        return Option(kind="choice", choices=typing.get_args(kinds[0]), **common)
    if kinds == [bool] and not optional:
        return Option(kind="switch", **common)
    if str in kinds:
        return Option(kind="text", takes_text=True, **common)
    if kinds and set(kinds) <= {int, float}:
        low, high = _bounds(field)
        return Option(kind="number" if float in kinds else "whole", low=low, high=high, **common)
    return None


def _bounds(field: dataclasses.Field[Any]) -> tuple[float, float]:
    """The least and the largest number that `polygan.ranged` allows; infinite without a range."""
    intervals = getattr(field.metadata.get("range"), "intervals", ())
    lows, highs = [i.low for i in intervals], [i.high for i in intervals]
    return (min(lows), max(highs)) if intervals else (-math.inf, math.inf)


def _docstrings(kind: type) -> dict[str, str]:
    """The text below each field of a dataclass and of its bases, on one line; empty where the source is not at hand."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        except (OSError, TypeError, SyntaxError, ValueError):
            continue
        body = getattr(tree, "body", [])
        for field, text in itertools.pairwise(body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                    found[name] = " ".join(said.replace("`", "").split())
    return found


def value_of(option: Option, shown: Any) -> Any:
    """The value that a component of the page shows. Raises ConfigError for a text that names a file of this machine."""
    if shown is None or shown == "":
        return None if option.optional else option.default if option.kind != "text" else ""
    if option.kind == "whole":
        return int(shown) if float(shown).is_integer() else shown
    if option.kind == "text" and shown != option.default:
        _refuse_files(option.name, str(shown))
    return shown


def _refuse_files(name: str, text: str) -> None:
    """Whoever sees the page must not open files of the machine through an option that takes a path."""
    try:
        there = Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return
    if there:
        raise ConfigError(
            f"{name} = {text!r} names a file of this machine; type it on the command line: --set {name}=PATH"
        )


def changed(options: typing.Iterable[Option], values: typing.Iterable[Any]) -> dict[str, Any]:
    """The values of a page by name, without those that are defaults."""
    found = {option.name: (option, value_of(option, value)) for option, value in zip(options, values, strict=True)}
    return {name: value for name, (option, value) in found.items() if value != option.default}


def typed(sampling: type, words: typing.Iterable[str]) -> dict[str, Any]:
    """Options as typed on a command line, ``NAME=VALUE`` each, by name. Raises ConfigError for a word of another form."""
    hints = typing.get_type_hints(sampling)
    found: dict[str, Any] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not name:
            raise ConfigError(f"--set {word}: write NAME=VALUE")
        if name not in hints:
            known = [field.name for field in dataclasses.fields(sampling)]
            raise ConfigError(
                f"--set {word}: no option {name!r}{polygan.did_you_mean(name, known)}; there are {', '.join(known) or 'none'}"
            )
        takes_text = str in (hints[name], *typing.get_args(hints[name]))
        literal = typing.get_origin(hints[name]) is typing.Literal
        found[name] = text if takes_text or literal else polygan.parse_yaml(text)
    return found
