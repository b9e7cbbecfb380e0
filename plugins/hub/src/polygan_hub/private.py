"""What must not be published: paths of this machine, its name, and tokens. A path is reduced to its last part."""

from __future__ import annotations

import platform
import re
import shlex
from pathlib import Path
from typing import Any

from .client import hidden

_ROOT = r"(?:~[\w.-]*[/\\]|/|[A-Za-z]:[\\/]|\\\\|file:/+)"
_WHOLE = re.compile(rf"{_ROOT}[^\n]*")
_WITHIN = re.compile(rf"(?<![\w.:/\\<-]){_ROOT}[^\s'\",;|<>]*")
_PATHS = ("data", "source", "cache", "config", "plugin", "runs", "init_from", "features", "out", "input")
"""Settings and options that hold paths: a relative path there is reduced too."""


def last_part(path: str) -> str:
    """The last part of a path; a name without separators, and a name on the Hub, as it is."""
    if path.startswith("hf:"):
        return path
    return (
        [part for part in re.split(r"[/\\]", path) if part not in ("", "~", "..")][-1:][0]
        if path.strip("/\\~.")
        else ""
    )


def clean_text(text: str) -> str:
    """The text without tokens, without the name of this machine, and with absolute paths reduced to their last part."""
    text = hidden(text)
    host = platform.node()
    if len(host) > 3:
        text = re.sub(rf"(?<!\w){re.escape(host)}(?!\w)", "...", text)
    if _WHOLE.fullmatch(text):
        return last_part(text)
    return _WITHIN.sub(lambda match: last_part(match[0]) or match[0], text)


def clean(value: Any, name: str = "") -> Any:
    """Settings as data without what is private; ``name``: the name of the setting."""
    if isinstance(value, dict):
        return {key: clean(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [clean(entry, name) for entry in value]
    if not isinstance(value, str):
        return value
    return last_part(hidden(value)) if name in _PATHS else clean_text(value)


def without_home(facts: Any) -> Any:
    """Facts of the data without paths below the home folder or the working folder.

    Other texts stay to the letter: a vocabulary may hold any word, and networks are rebuilt from it.
    """
    if isinstance(facts, dict):
        return {key: without_home(entry) for key, entry in facts.items()}
    if isinstance(facts, list | tuple):
        return [without_home(entry) for entry in facts]
    if not isinstance(facts, str):
        return facts
    places = [str(place) for place in (Path.home(), Path.cwd()) if len(place.parts) > 1]
    inside = any(facts == place or facts.startswith((f"{place}/", f"{place}\\")) for place in places)
    return last_part(facts) if inside else facts


def clean_command(command: str) -> str:
    """A command without what is private; empty where the command cannot be read."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    cleaned: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        option, given, value = word.partition("=") if word.startswith("--") else ("", "", word)
        name = (option if given else before).removeprefix("--").rpartition(".")[2]
        takes = (given and option.startswith("--")) or before.startswith("--")
        shown = last_part(hidden(value)) if takes and name in _PATHS else clean_text(value)
        cleaned.append(f"{option}={shown}" if given else clean_text(word) if word.startswith("--") else shown)
    return shlex.join(cleaned)
