"""Finds the data of a run again, when the run is used from another folder or was moved together with its data."""

from __future__ import annotations

import dataclasses
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

from ...errors import ConfigError, DataError
from ...reading import parse_json, read_text
from ...settings.parser import read_yaml

if TYPE_CHECKING:
    from ...data.source import DataSettings

D = TypeVar("D", bound="DataSettings")


class Where(TypedDict):
    """Where the data of a run lay (the key ``where`` of data.json)."""

    typed: str
    """``data.source`` as the user typed it, or the path in the settings of a data set."""
    base: str
    """The folder to which paths are relative."""
    from_run: str
    """The same folder, relative to the run's folder."""


def where(typed: str, base: str, folder: Path) -> Where:
    """What data.json keeps of the place of the data. ``base`` is empty for the current folder."""
    run = os.path.abspath(folder)
    base = os.path.abspath(base or os.curdir)
    if os.path.isabs(os.path.expanduser(typed)):
        saved = _saved(folder)
        if saved is not None and saved["typed"] == typed:  # perhaps the run was moved, and this record says from where
            return saved
        with suppress(ValueError):  # another drive
            base = os.path.commonpath([os.path.expanduser(typed), run])
    try:
        from_run = os.path.relpath(base, run)
    except ValueError:
        from_run = ""
    return Where(typed=typed, base=base, from_run=from_run)


def located(data: D, folder: Path, name: str = "source") -> tuple[D, str]:
    """The data settings of a run with paths that exist now, and the folder to which paths are relative (empty: the current).

    ``name`` is the setting that says where the data lies. Tried in order: the folder where the run was trained, the same place beside the run (both were moved), the current folder.
    Raises DataError, with every place, where the data is in none of them.
    """
    saved, typed = _saved(folder), str(getattr(data, name))
    if saved is None or saved["typed"] != typed:
        guess = "" if saved else _before(folder)
        there = os.path.normpath(os.path.join(os.path.abspath(folder), guess))
        if _exists(typed) or not guess or not _exists(_moved(typed, os.getcwd(), there)):
            return data, ""
        saved = Where(typed=typed, base=there, from_run="")
    beside = os.path.normpath(os.path.join(os.path.abspath(folder), saved["from_run"])) if saved["from_run"] else ""
    tried: list[str] = []
    for base in dict.fromkeys(b for b in (saved["base"], beside, os.getcwd()) if b):
        path = _moved(typed, saved["base"], base)
        if _exists(path):
            absolute = os.path.isabs(os.path.expanduser(typed))
            same = base == (saved["base"] if absolute else os.getcwd())
            return (data, "") if same else (_with_base(data, saved["base"], base, name), base)
        tried.append(path)
    raise DataError(
        f"the data of run {folder} was not found: data.{name} = {typed!r} is in none of {', '.join(tried)}; bring "
        f"the data back to one of these places, or name its new place: `polygan resume {folder} --set data.{name}=PATH`"
    )


def _exists(path: str) -> bool:
    return os.path.exists(os.path.expanduser(path))


def _saved(folder: Path) -> Where | None:
    """What data.json says of the place; None for an older run or a damaged file."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        found = parse_json(read_text(folder / "data.json"))["where"]
        if all(isinstance(found[key], str) for key in ("typed", "base", "from_run")):
            return Where(typed=found["typed"], base=found["base"], from_run=found["from_run"])
    return None


def _before(folder: Path) -> str:
    """The folder where a run from an older polygan was trained, relative to the run: above the saved folder of runs."""
    with suppress(ConfigError):
        runs = read_yaml(folder / "config.yaml", saved=True).get("runs")
        if isinstance(runs, str) and not os.path.isabs(runs) and ".." not in Path(runs).parts:
            return os.path.join(*[os.pardir] * (len(Path(runs).parts) + 1))
    return ""


def _moved(path: str, old: str, new: str) -> str:
    """A path that was relative to ``old``, or below ``old``, at the same place in ``new``."""
    path = os.path.expanduser(path)
    if os.path.isabs(path):
        below = os.path.relpath(path, old)
        return path if below.startswith(os.pardir) or old == os.sep else os.path.normpath(os.path.join(new, below))
    return os.path.normpath(os.path.join(new, path))


def _with_base(data: D, old: str, new: str, name: str) -> D:
    """The settings with every path that exists below ``new``. A text that only may be a path needs a separator or a suffix.

    Where ``name`` is not ``source``, the source is the name of a data set, and stays.
    """
    changes: dict[str, object] = {}
    for field in dataclasses.fields(data):
        value = getattr(data, field.name)
        if not isinstance(value, str) or not value or field.name == "source" != name:
            continue
        sure = field.name in data.paths or os.sep in value or os.path.splitext(value)[1]
        moved = _moved(value, old, new)
        if sure and os.path.exists(moved):
            changes[field.name] = moved
    return dataclasses.replace(data, **changes)
