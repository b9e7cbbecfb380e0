"""Typed settings <-> command line <-> YAML.

A run's settings are a flat group (`RunSettings`), a group ``data`` (the domain's) and a group ``model`` (the recipe's). The three
ways in - options, a YAML file, keyword arguments in Python - go through one parser, so that they accept and refuse
the same. Later ones win: recipe's defaults < YAML file < options.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from ..errors import ConfigError, PolyganError, did_you_mean
from .trainer import RunSettings

jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)


@dataclass(frozen=True)
class Settings:
    """The resolved settings of a run."""

    recipe: str
    run: RunSettings
    data: Any
    model: Any

    def plain(self) -> dict[str, Any]:
        """As data for YAML: ``recipe``, the run's settings, then the groups ``data`` and ``model``."""
        groups = {"data": _plain(self.data), "model": _plain(self.model)}
        return {"recipe": self.recipe, **_plain(self.run), **groups}

    def yaml(self) -> str:
        """The text that reproduces the run with ``polygan train --config``."""
        return yaml.safe_dump(self.plain(), sort_keys=False, allow_unicode=True)


def _plain(config: Any) -> dict[str, Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return [convert(v) for v in value]
        if isinstance(value, Mapping):
            return {k: convert(v) for k, v in value.items()}
        return str(value) if isinstance(value, Path) else value

    return {k: convert(v) for k, v in dataclasses.asdict(config).items()}


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file's mapping. Raises ConfigError where it is missing, no YAML, or no mapping."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"settings file {str(path)!r} cannot be read: {getattr(error, 'strerror', error)}") from None
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"settings file {str(path)!r} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"settings file {str(path)!r} holds a {type(data).__name__}, not names with values")
    return data


class SettingsParser:
    """Reads the settings of runs of one recipe."""

    def __init__(
        self, recipe: str, model: type, data: type, defaults: Mapping[str, Any], prog: str = "polygan train"
    ) -> None:
        self.recipe = recipe
        self.groups: dict[str, type] = {"data": data, "model": model}
        self.types = {f"{g}.{k}": t for g, c in self.groups.items() for k, t in _types(c).items()}
        self.types |= _types(RunSettings)
        self.parser = jsonargparse.ArgumentParser(
            prog=f"{prog} {recipe}", exit_on_error=False, default_env=False, add_help=False
        )
        self.parser.add_class_arguments(RunSettings)
        for group, config in self.groups.items():
            self.parser.add_argument(f"--{group}", type=config, default=config())
        unknown = defaults.keys() - self.types.keys()
        if unknown:
            raise ConfigError(f"recipe {recipe!r} sets defaults that do not exist: {', '.join(sorted(unknown))}")
        try:
            self.parser.parse_object(dict(defaults))
        except (jsonargparse.ArgumentError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"the defaults of recipe {recipe!r} do not fit: {_explain(error)}") from None
        self.parser.set_defaults(dict(defaults))

    def help(self) -> str:
        """Every option with its type, default and meaning."""
        return self.parser.format_help()

    def parse(self, layers: Sequence[Mapping[str, Any]], argv: Sequence[str] = ()) -> Settings:
        """Settings from nested mappings (later ones win), then from options. Raises ConfigError."""
        merged: dict[str, Any] = {}
        for layer in layers:
            for key, value in self._checked(layer).items():
                merged[key] = {**merged.get(key, {}), **value} if key in self.groups else value
        try:
            parsed = self.parser.parse_object(merged)
            arguments = self._arguments(argv)
            if arguments:
                parsed = self.parser.parse_args(arguments, namespace=parsed)
            objects = self.parser.instantiate(parsed)
        except PolyganError:
            raise
        except (jsonargparse.ArgumentError, ValueError, TypeError, KeyError) as error:
            raise _explain(error) from None
        run = RunSettings(**{k: parsed[k] for k in _types(RunSettings)})
        return Settings(self.recipe, run, objects["data"], objects["model"])

    def _checked(self, layer: Mapping[str, Any]) -> dict[str, Any]:
        """One layer with shorthands expanded and every name known."""
        checked: dict[str, Any] = {}
        for key, value in layer.items():
            if key == "recipe":
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

    def _known(self, name: str, shown: str = "") -> None:
        if name not in self.types:
            raise ConfigError(
                f"unknown setting {shown or name} of {self.recipe}{did_you_mean(name, self.types)}; "
                f"`polygan train {self.recipe} --help` lists them"
            )

    def _arguments(self, argv: Sequence[str]) -> list[str]:
        """Options with shorthands expanded (``--data X``, ``--compile``, ``--no-compile``) and every name known."""
        arguments: list[str] = []
        rest = list(argv)
        while rest:
            word = rest.pop(0)
            name, equals, value = word[2:].partition("=")
            name = name if name in self.types else name.replace("-", "_")
            if not word.startswith("--"):
                raise ConfigError(f"unexpected {word!r}: options begin with --, e.g. --steps 1000")
            if name == "data":
                name = "data.source"
            if name.startswith("no_") and name not in self.types and self.types.get(name[3:]) is bool:
                arguments.append(f"--{name[3:]}=false")
                continue
            self._known(name, shown=f"--{name}")
            if not equals:
                if self.types[name] is bool and (not rest or rest[0].lower() not in ("true", "false")):
                    value = "true"
                elif not rest:
                    raise ConfigError(f"--{name} needs a value")
                elif name == "metrics":  # a list: one or more words
                    words = []
                    while rest and not rest[0].startswith("--"):
                        words.append(rest.pop(0))
                    value = "[" + ",".join(words) + "]"
                else:
                    value = rest.pop(0)
            arguments.append(f"--{name}={value}")
        return arguments


def build(config: type, values: Mapping[str, Any], what: str) -> Any:
    """An instance of a config dataclass from plain data, typed and checked as everywhere. Raises ConfigError."""
    known = _types(config)
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
    except (jsonargparse.ArgumentError, ValueError, TypeError, KeyError) as error:
        raise _explain(error) from None


def options_help(config: type, title: str) -> str:
    """The options of a config dataclass with their types, defaults and meanings."""
    parser = jsonargparse.ArgumentParser(usage=jsonargparse.SUPPRESS, add_help=False, default_env=False)
    parser.add_class_arguments(config)
    lines = parser.format_help().strip().splitlines()
    return "\n".join([title, *lines[1:]]) if len(lines) > 1 else f"{title} none"


def option_values(config: type, words: Sequence[str], what: str) -> dict[str, Any]:
    """Command-line words (``--truncation 0.7 --grid``) as values for `build`."""
    types, values, rest = _types(config), {}, list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if not word.startswith("--") or name not in types:
            has = ", ".join(f"--{t}" for t in types) or "none"
            raise ConfigError(f"unknown option {word!r} of {what}{did_you_mean(name, types)}; it has {has}")
        if not equals:
            if types[name] is bool and (not rest or rest[0].lower() not in ("true", "false")):
                value = "true"
            elif not rest:
                raise ConfigError(f"--{name} needs a value")
            else:
                value = rest.pop(0)
        if types[name] is str or str in typing.get_args(types[name]):  # `build` reads numbers where they may stand
            values[name] = value
            continue
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(
                f"--{name} = {value!r} of {what} cannot be read; quote it, or write a plain value"
            ) from None
    return values


def _types(config: type) -> dict[str, Any]:
    hints = typing.get_type_hints(config)
    return {f.name: hints[f.name] for f in dataclasses.fields(config)}


def _explain(error: Exception) -> ConfigError:
    """One line from the parser's report: its own words, without its indentation and its outer frames."""
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
    kind = re.sub(r"^Literal\[(.*)\]$", r"one of \1", kind)
    return ConfigError(f"{name} = {value} is not of the right type; it takes {kind}")
