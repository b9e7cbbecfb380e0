"""The runs below a folder at a glance. Of each run only the settings and the two ends of the log are read; nothing imports torch."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..data.cache.folders import Busy, hold
from ..errors import ConfigError, did_you_mean, one_line
from ..reading import MB, open_regular, parse_json, read_object, read_text
from ..scoring.sides import number
from ..settings.formats import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ..scoring.judged import Record

_LARGEST = 4 << 30  # bytes of a log
_TAIL = 64 << 10  # bytes at the end of a log that are always read
_SCORES = 4 * MB  # bytes at the end of a log that are searched for the best score
_STATUS = {"finished": "finished", "preempted": "stopped", "interrupted": "stopped", "failed": "failed"}
_SIGNS = {"lower": 1, "higher": -1}  # a checkpoint keeps a score so that less is better
_PARTS = ("config.yaml", "log.jsonl", "data.json", "environment.json", "checkpoints", ".launch")


class Best(NamedTuple):
    """The score that picked the best checkpoint."""

    name: str
    value: float
    step: int


@dataclass(frozen=True)
class RunRow:
    """A run in one line."""

    folder: Path
    recipe: str
    data: str
    """The data as the settings name them."""
    step: int
    """Finished iterations."""
    steps: int | None
    """Iterations that the settings ask for."""
    best: Best | None
    """The best score; the newest one where no checkpoint has a score."""
    state: str
    """finished, stopped (on request, or killed), running, failed or diverged."""
    written: datetime
    """When the log, or else the settings, were last written, in local time."""

    def plain(self) -> dict[str, object]:
        """The row as JSON holds it."""
        best = None if self.best is None else self.best._asdict()
        facts = {"name": self.folder.name, "folder": str(self.folder), "recipe": self.recipe, "data": self.data}
        when = self.written.isoformat(timespec="seconds")
        return {**facts, "step": self.step, "steps": self.steps, "best": best, "state": self.state, "written": when}


def runs_in(folder: Path) -> tuple[list[RunRow], dict[str, str]]:
    """The runs in a folder, the newest first, and the reason for each folder that is no whole run, by its name.

    ``folder`` may itself be a run. Hidden folders are passed over. Raises ConfigError if ``folder`` is none.
    """
    if not folder.is_dir():
        raise ConfigError(f"{str(folder)!r} is no folder; name the folder of your runs: `polygan runs FOLDER`")
    if (folder / "config.yaml").is_file():
        places = [folder]
    else:
        places = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_dir())
    rows, broken = [], {}
    for place in places:
        try:
            rows.append(run_row(place))
        except (OSError, ValueError, ConfigError) as error:
            broken[place.name] = str(error) if isinstance(error, ConfigError) else f"damaged: {one_line(error)}"
    return sorted(rows, key=lambda row: row.written, reverse=True), broken


def check_run(folder: Path) -> None:
    """Refuse a folder that is no run. Raises ConfigError."""
    if (folder / "config.yaml").is_file():
        return
    near = [p.parent.name for p in folder.parent.glob("*/config.yaml")] if folder.parent.is_dir() else []
    raise ConfigError(f"{str(folder)!r} is not a run: it has no config.yaml{did_you_mean(folder.name, near)}")


def run_row(folder: Path) -> RunRow:
    """A run in one line. Raises ConfigError, OSError or ValueError for a folder that is no whole run."""
    if not (folder / "config.yaml").is_file():
        half = any((folder / name).exists() for name in _PARTS)
        raise ConfigError("half-made: it has no config.yaml" if half else "not a run: it has no config.yaml")
    found = parse_yaml(read_text(folder / "config.yaml", MB, errors="replace"))
    config: dict[Any, Any] = found if isinstance(found, dict) else {}
    recipe, data, steps = config.get("recipe"), config.get("data"), config.get("steps")
    if not isinstance(recipe, str):
        raise ConfigError("damaged: its config.yaml names no recipe")
    log = folder / "log.jsonl"
    records = list(_records(_end(log, _TAIL)))
    if not any("event" in r for r in records):  # the last line alone may be longer: plots of metrics
        records = list(_records(_end(log, _SCORES)))
    told = [r for r in records if r.get("event") not in ("evaluated", "diverged")]
    changed = (log if log.exists() else folder / "config.yaml").stat().st_mtime
    return RunRow(
        folder=folder,
        recipe=recipe,
        data=str(data.get("source") or "") if isinstance(data, dict) else "",
        step=next((step for r in reversed(told) if (step := _step(r.get("step"))) is not None), 0),
        steps=steps if type(steps) is int else None,
        best=_best(folder, log, records),
        state=_state(folder, records),
        written=datetime.fromtimestamp(changed).astimezone(),
    )


# The log


def _end(log: Path, most: int) -> bytes:
    """The whole lines at the end of a log, ``most`` bytes of them; empty where there is no log."""
    try:
        with open_regular(log, _LARGEST) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - most))
            data = file.read(most)
    except FileNotFoundError:
        return b""
    return data if size <= most else data.partition(b"\n")[2]


def _records(data: bytes) -> Iterator[Record]:
    """The records on the lines; damaged lines are left out."""
    for line in data.splitlines():
        with suppress(ValueError):
            found = parse_json(line)
            if isinstance(found, dict):
                yield cast("Record", found)


def _step(step: object) -> int | None:
    return step if type(step) is int and 0 <= step < 1 << 53 else None


def _state(folder: Path, records: list[Record]) -> str:
    """What a run is doing, or how it ended, from its lock and from the end of its log."""
    try:
        hold(folder, shared=True, make=False).close()
    except Busy:
        return "running"
    told = [r for r in records if r.get("event") != "evaluated"]  # `polygan evaluate` writes behind the end
    if not told or told[-1].get("event") != "ended":
        return "stopped"
    state = _STATUS.get(str(told[-1].get("status")), "stopped")
    return "diverged" if state == "failed" and len(told) > 1 and told[-2].get("event") == "diverged" else state


# The best score


def _best(folder: Path, log: Path, records: list[Record]) -> Best | None:
    """The first score of the first metric at the best checkpoint; the newest such score where no checkpoint has a score."""
    scored = min(_scored(folder), default=None)
    found = _evaluated(records, None if scored is None else -scored[1])
    if found or scored is None:
        return None if found is None else found[0]
    records = list(_records(b"\n".join(_with_scores(_end(log, _SCORES)))))
    if found := _evaluated(records, -scored[1]):
        return found[0]
    newest = _evaluated(records, None)  # the log says no more than what the checkpoint's score is called
    if newest is None or newest[1] not in _SIGNS:
        return None
    return Best(newest[0].name, _SIGNS[newest[1]] * scored[0], -scored[1])


def _with_scores(data: bytes) -> Iterator[bytes]:
    return (match[0] for match in re.finditer(rb'^\{"event": "evaluated".*$', data, re.MULTILINE))


def _evaluated(records: Iterable[Record], step: int | None) -> tuple[Best, str] | None:
    """The last leading score of a step, or of any step, and which values are better; None if there is none."""
    best = None
    for record in records:
        scores = record.get("scores")
        if record.get("event") != "evaluated" or not isinstance(scores, list) or not scores:
            continue
        at, first = _step(record.get("step")), scores[0] if isinstance(scores[0], dict) else {}
        value = number(first.get("value"))
        if at is not None and step in (None, at) and value is not None:
            best = Best(str(first.get("name")), value, at), str(first.get("better"))
    return best


def _scored(folder: Path) -> Iterator[tuple[float, int]]:
    """Score (lower is better) and negative step of the checkpoints that have a score."""
    for path in (folder / "checkpoints").glob("step-*/manifest.json"):
        with suppress(OSError, ValueError):
            found = read_object(path, MB, within=folder)
            score, step = number(found.get("score")), _step(found.get("step"))
            if score is not None and step is not None:
                yield score, -step
