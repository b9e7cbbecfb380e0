"""The log of a run, log.jsonl: one JSON object on each line, appended during the run."""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING, cast

import numpy as np

from ..errors import DataError
from ..files import append_line, create, replacing, to_disk
from ..messages import warn
from ..reading import Refused, open_regular, parse_json, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ..scoring.judged import Record
_FREQUENT = ("logged", "health", "sampled")
_EVENTS = (*_FREQUENT, "evaluated", "saved", "resumed", "started", "diverged", "ended")
_MEASURED = 5  # the first events, which a later record of the same step replaces
_LOGGED, _RESUMED, _OTHER, _DAMAGED = _EVENTS.index("logged"), _EVENTS.index("resumed"), len(_EVENTS), 255
MOST = 4_000
"""The most records of one event that `read_log` returns."""
_LARGEST_STEP = 1 << 53
_LARGEST = 4 << 30  # bytes of a log that is read
_BUDGET = 256 << 20  # bytes of lines that `read_log` keeps


def append_record(log: Path, record: Mapping[str, object]) -> None:
    """Append one JSON line. Lines of frequent events reach the disk with the next line of another event, at the latest."""
    append_line(log, json.dumps(record), durable=record.get("event") not in _FREQUENT)


def keep_records(log: Path, step: int) -> None:
    """Drop the lines of steps after ``step``, and lines that are damaged. A warning counts damaged lines before the last line."""
    damaged, last = 0, False
    with replacing(log) as (temporary,), create(temporary) as kept:
        for line in _lines(log):
            record = _record(line)
            last = record is None and line != ""
            damaged += last
            if record is not None and _step(record, 0) <= step:
                kept.write(f"{line}\n".encode())
        to_disk(kept)
    if damaged - last:
        warn(f"polygan: {log}: {damaged - last:,} damaged lines were left out")


def _lines(log: Path) -> Iterator[str | None]:
    """The lines of a log, one at a time. A missing file has no lines. Raises DataError for an unreadable file."""
    try:
        with open_regular(log, _LARGEST) as file:
            yield from read_lines(file)
    except FileNotFoundError:
        return
    except Refused as error:
        raise DataError(f"{log} cannot be read: {error}") from None


def read_log(path: Path, most: int = MOST) -> list[Record]:
    """The records of a log in order, without the records that a rollback or a resume from an earlier step replaced.

    Of each event, at most ``most`` evenly chosen records are returned, with the first and the last, so that memory does not
    grow with the log. Damaged lines are left out. A missing file is an empty log. Raises DataError for an unreadable file.
    """
    chosen, steps = _chosen(_lines(path), most)
    records: list[Record] = []
    budget = _BUDGET
    for number, (line, step) in enumerate(zip(_lines(path), steps, strict=False)):
        if number in chosen and line is not None:
            budget -= len(line)
            record = _record(line) if budget >= 0 else None
            if record is not None:
                record["step"] = step
                records.append(record)
    return records


def _chosen(lines: Iterable[str | None], most: int) -> tuple[set[int], array[int]]:
    """The numbers of the lines to return, and the step of every line. Holds a few bytes for each line."""
    steps, kinds, begins = array("q"), array("B"), array("q")
    furthest = 0
    for line in lines:
        record = _record(line)
        step = 0 if record is None else _step(record, furthest)
        kind = _DAMAGED if record is None else _kind(record)
        begin = _LARGEST_STEP + 1  # the first step whose earlier measurements this record replaces
        if kind in (_RESUMED, _LOGGED):
            first = step + 1 if kind == _RESUMED else step
            begin = first if first <= furthest else begin
            furthest = step
        steps.append(step)
        kinds.append(kind)
        begins.append(begin)
    kind, step, begin = (np.frombuffer(a, a.typecode) if a else np.empty(0) for a in (kinds, steps, begins))
    # The smallest begin of all later lines: a measurement from that step on was replaced.
    later = np.append(np.minimum.accumulate(begin[::-1])[::-1][1:], _LARGEST_STEP + 1)[: len(begin)]
    valid = (kind >= _MEASURED) | (step < later)
    chosen: set[int] = set()
    for event in range(_OTHER + 1):
        rows = np.flatnonzero(valid & (kind == event))
        if len(rows) > most:
            rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
        chosen.update(rows.tolist())
    return chosen, steps


def _kind(record: Record) -> int:
    event = record.get("event")
    return _EVENTS.index(event) if event in _EVENTS else _OTHER


def _record(line: str | None) -> Record | None:
    """The record on a line; None where the line is not a JSON object. Its step is still what the file says."""
    try:
        found = parse_json(line or "")
    except ValueError:
        return None
    return cast("Record", found) if isinstance(found, dict) else None


def _step(record: Record, otherwise: int) -> int:
    step = record.get("step")
    return int(step) if isinstance(step, int | float) and 0 <= step <= _LARGEST_STEP else otherwise
