"""The log of a run, log.jsonl: one JSON object on each line, appended during the run."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, cast

from ..files import append_line, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..scoring.records import Record
_FREQUENT = ("logged", "health", "sampled")
_MEASURED = ("logged", "health", "sampled", "evaluated", "saved")


def append_record(log: Path, record: Mapping[str, object]) -> None:
    """Append one JSON line. Lines of frequent events reach the disk with the next line of another event, at the latest."""
    append_line(log, json.dumps(record), durable=record.get("event") not in _FREQUENT)


def keep_records(log: Path, step: int) -> None:
    """Drop the lines of steps after ``step``, and lines that were cut off by a crash."""
    lines = log.read_text("utf-8", errors="replace").split("\n") if log.exists() else []
    kept = [line for line in lines if (record := _record(line)) is not None and _step(record, 0) <= step]
    write_text(log, "".join(f"{line}\n" for line in kept))


def read_log(path: Path) -> list[Record]:
    """The records of a log in order, without the records that a rollback or a resume from an earlier step replaced.

    Lines that are not a JSON object (cut off by a crash) are left out. A missing file is an empty log.
    """
    records: list[Record] = []
    try:
        lines = path.read_text("utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return records
    furthest = 0
    for line in lines:
        record = _record(line)
        if record is None:
            continue
        step = record["step"] = _step(record, furthest)
        event = record.get("event")
        if event in ("resumed", "logged"):
            begin = step + 1 if event == "resumed" else step  # this record replaces measurements from here on
            if begin <= furthest:
                records = [r for r in records if r["step"] < begin or r.get("event") not in _MEASURED]
            furthest = step
        records.append(record)
    return records


def _record(line: str) -> Record | None:
    """The record on a line; None where the line is not a JSON object. Its step is still what the file says."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return cast("Record", found) if isinstance(found, dict) else None


def _step(record: Record, otherwise: int) -> int:
    step = record.get("step")
    return int(step) if isinstance(step, int | float) and math.isfinite(step) else otherwise
