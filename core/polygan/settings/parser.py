"""Typed settings <-> command line <-> YAML.

A run has three groups of settings: its own (`RunSettings`, without a prefix), ``data`` (the domain's or the data set's) and
``model`` (the recipe's). Options, a YAML file and keyword arguments in Python become layers of plain data. One parser checks
every layer, so that all three accept and refuse the same values. Later layers win: recipe's defaults < YAML file < keywords
< options.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import jsonargparse
import yaml

from ..errors import ConfigError, PolyganError, did_you_mean
from ..reading import MB, read_text
from .formats import FORMAT, Layer, parse_yaml, with_format
from .help import Entry, listing, option_entries
from .trainer import RunSettings
from .words import Text, nested, read_words, stray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")

ALIASES = {"--data": "data.source"}
"""Other ways to write an option of a run."""
MEANT = {"out": "runs", "output": "runs", "output_dir": "runs"}
"""Option names that users of other commands and tools try, with polygan's name."""
FIRST = ("data.source", "steps", "batch_size", "seed", "precision", "device", "name", "evaluate_every")
"""The run's options that people set first."""
_FAULTS = (jsonargparse.ArgumentError, ValueError, TypeError, KeyError)


@dataclass(frozen=True)
class Settings:
    """The resolved settings of a run."""

    recipe: str
    run: RunSettings
    data: Any
    """An instance of the domain's ``Settings`` or of the data set's settings."""
    model: DataclassInstance
    """An instance of the recipe's ``Config``."""

    def plain(self) -> dict[str, Any]:
        """The settings as data for YAML: ``recipe``, the run's settings, then the groups ``data`` and ``model``."""
        groups = {"data": _plain(self.data), "model": _plain(self.model)}
        return {"recipe": self.recipe, **_plain(self.run), **groups}

    def yaml(self) -> str:
        """The text that reproduces the run with ``polygan train --config``."""
        return yaml.safe_dump({"format": FORMAT, **self.plain()}, sort_keys=False, allow_unicode=True)


def _plain(config: DataclassInstance) -> dict[str, object]:
    def convert(value: object) -> object:
        if isinstance(value, (tuple, list)):
            return [convert(v) for v in value]
        if isinstance(value, Mapping):
            return {k: convert(v) for k, v in value.items()}
        return str(value) if isinstance(value, Path) else value

    return {k: convert(v) for k, v in dataclasses.asdict(config).items()}


def read_yaml(path: str | Path, *, saved: bool = False) -> dict[str, object]:
    """A settings file with the number of its format. Raises ConfigError where it is missing, not YAML, or not a mapping.

    The file of a ``saved`` run must be a regular file. What a user names may also be a link or a pipe.
    """
    try:
        if saved:
            text = read_text(Path(path), MB)
        else:
            with Path(path).open("rb") as file:
                data = file.read(MB + 1)
            if len(data) > MB:
                raise ValueError(f"it has more than {MB:,} bytes")
            text = data.decode("utf-8")
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", error)
        raise ConfigError(f"settings file {str(path)!r} cannot be read ({problem}): check the path") from None
    try:
        found = parse_yaml(text) or {}
    except ValueError as error:
        raise ConfigError(f"settings file {str(path)!r} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"settings file {str(path)!r} holds a {type(found).__name__}, not names with values")
    return with_format(found, f"settings file {str(path)!r}")


def read_layers(files: Sequence[str], recipe: str | None) -> tuple[list[Layer], object]:
    """The layers of ``--config`` in their order, and the recipe: ``recipe``, else the recipe that the files name, if any.

    Raises ConfigError if two files name different recipes and ``recipe`` is None.
    """
    layers: list[Layer] = [read_yaml(file) for file in files]
    named = {repr(layer["recipe"]): layer["recipe"] for layer in layers if layer.get("recipe") is not None}
    if recipe is None and len(named) > 1:
        raise ConfigError(
            f"{', '.join(files)} name different recipes ({', '.join(named)}): write the recipe after train"
        )
    return layers, recipe or next(iter(named.values()), None)


class SettingsParser:
    """Reads the settings of runs with one recipe on one kind of data."""

    def __init__(self, recipe: str, model: type, data: type, defaults: Layer, first: Sequence[str] = ()) -> None:
        self.recipe, self.defaults = recipe, defaults
        self.groups: dict[str, type] = {"data": data, "model": model}
        self.types = option_types(RunSettings)
        self.types |= {f"{g}.{k}": t for g, c in self.groups.items() for k, t in option_types(c).items()}
        self.first = (*FIRST, *(f"model.{name}" for name in first or list(option_types(model))[:2]))
        self.parser = jsonargparse.ArgumentParser(exit_on_error=False, default_env=False, add_help=False)
        self.parser.add_class_arguments(RunSettings)
        for group, config in self.groups.items():
            self.parser.add_argument(f"--{group}", type=config, default=config())
        unknown = defaults.keys() - self.types.keys()
        if unknown:
            raise ConfigError(f"recipe {recipe!r} sets defaults that do not exist: {', '.join(sorted(unknown))}")
        try:
            self.parser.parse_object(dict(defaults))
        except _FAULTS as error:
            raise ConfigError(f"the defaults of recipe {recipe!r} do not fit: {_explain(error)}") from None
        self.parser.set_defaults(dict(defaults))

    def help(self, everything: bool = False) -> str:
        """The options that people set first, or every option, with types, defaults, ranges and meanings."""
        groups = [("of the run", option_entries(RunSettings, "", self.defaults))]
        for group, config in self.groups.items():
            groups.append((f"of the {group}", option_entries(config, f"{group}.", self.defaults)))
        source = groups[1][1]["data.source"].said
        groups[1][1]["data.source"] = Entry("--data PATH, or --data.source PATH", source)
        if everything:
            return "\n\n".join(listing(f"options {title}", list(found.values())) for title, found in groups if found)
        found = {name: entry for _, entries in groups for name, entry in entries.items()}
        found["data.source"] = Entry("--data PATH", source)
        first = listing("options that people set first", [found[name] for name in self.first if name in found])
        return f"{first}\n\n`polygan train {self.recipe} --help all` shows all {len(found)} options."

    def parse(self, layers: Sequence[Layer], words: Sequence[str] = ()) -> Settings:
        """Settings from nested mappings (later mappings win), then from options. Raises ConfigError."""
        merged: dict[str, object] = {}
        groups: dict[str, dict[str, object]] = {}
        for layer in (*layers, nested(self._options(words))):
            for key, value in self._checked(layer).items():
                if key in self.groups and isinstance(value, Mapping):
                    merged[key] = groups[key] = {**groups.get(key, {}), **value}
                else:
                    merged[key] = value
        try:
            parsed = self.parser.parse_object(merged)
            objects = self.parser.instantiate(parsed)
            run = RunSettings(**{k: parsed[k] for k in option_types(RunSettings)})
        except PolyganError:
            raise
        except _FAULTS as error:
            raise _explain(error) from None
        return Settings(self.recipe, run, objects["data"], objects["model"])

    def _options(self, words: Sequence[str]) -> dict[str, Text]:
        values, rest = read_words(words, self.types, ALIASES)
        if rest:
            what = f"polygan train {self.recipe}"
            raise stray(rest, self.types, what, f"`{what} --help all` lists them", MEANT)
        return values

    def _checked(self, layer: Layer) -> dict[str, object]:
        """One layer whose names are all known, with ``data: PATH`` written out."""
        checked: dict[str, object] = {}
        for key, value in layer.items():
            if key in ("recipe", "format"):
                continue
            if key == "data" and isinstance(value, (str, Path)):
                value = {"source": str(value)}
            if key in self.groups:
                if not isinstance(value, Mapping):
                    raise ConfigError(f"{key} = {value!r} is not a group of settings; write e.g. {key}: {{...}}")
                for name in value:
                    self._known(f"{key}.{name}")
                checked[key] = dict(value)
            else:
                self._known(str(key))
                checked[str(key)] = list(value) if isinstance(value, tuple) else value
        return checked

    def _known(self, name: str) -> None:
        if name not in self.types:
            raise ConfigError(
                f"unknown setting {name} of {self.recipe}{did_you_mean(name, self.types)}; "
                f"`polygan train {self.recipe} --help all` lists them"
            )


def build(config: type[T], values: Layer, what: str) -> T:
    """An instance of a dataclass of settings from plain data, checked like a run's settings. Raises ConfigError."""
    known = option_types(config)
    for name in values:
        if name not in known:
            has = ", ".join(known) or "none"
            raise ConfigError(f"unknown option {name!r} of {what}{did_you_mean(name, known)}; it has {has}")
    parser = jsonargparse.ArgumentParser(exit_on_error=False, default_env=False)
    parser.add_argument("--it", type=config, default=config())
    try:
        return parser.instantiate(parser.parse_object({"it": dict(values)}))["it"]
    except PolyganError:
        raise
    except _FAULTS as error:
        raise _explain(error) from None


def option_types(config: type) -> dict[str, object]:
    """The type of each field of a dataclass of settings."""
    hints = typing.get_type_hints(config)
    return {f.name: hints[f.name] for f in dataclasses.fields(config)}


def source_of(layers: Sequence[Layer]) -> str:
    """The source of data that the last layer with a source names; empty if no layer names a source."""
    for layer in reversed(layers):
        data = layer.get("data")
        found = data.get("source") if isinstance(data, Mapping) else data
        if isinstance(found, (str, Path)):
            return str(found)
    return ""


def _explain(error: Exception) -> ConfigError:
    """The parser's report as an error of one line, without indentation and outer frames."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PolyganError):
            return ConfigError(str(cause))
        cause = cause.__cause__ or cause.__context__
    text = " ".join(str(error).split())
    match = re.search(r'[Kk]ey "(?:it\.)?([^"]+)": (?:.*?)Expected an? (.+?)\. Got value: (.*?)(?: Subtypes.*)?$', text)
    if match is None:
        return ConfigError(f"settings: {text}")
    name, kind, value = match.groups()
    kind = re.sub(r"<class '([\w.]+)'>", r"\1", kind).replace("typing.", "")
    literal = re.fullmatch(r"Literal\[(.*)\]", kind)
    if literal is None:
        return ConfigError(f"{name} = {value} is not of the right type; it takes {kind}")
    known = [choice.strip("'\"") for choice in literal[1].split(", ")]
    return ConfigError(f"{name} = {value} is unknown{did_you_mean(value, known)}; known are {', '.join(known)}")
