"""log.jsonl: one JSON object a line, appended as things happen."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from ..files import append_line, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FREQUENT = ("logged", "health", "sampled")
_MEASURED = ("logged", "health", "sampled", "evaluated", "saved")


def append_record(log: Path, record: Mapping[str, Any]) -> None:
    """Append one JSON line. Those of every few iterations are left to the system to flush; the next other one flushes them."""
    append_line(log, json.dumps(record), durable=record.get("event") not in _FREQUENT)


def keep_records(log: Path, step: int) -> None:
    """Drop the lines after ``step``, and a last line that was cut off."""
    kept = []
    for line in log.read_text("utf-8", errors="replace").split("\n") if log.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("step", 0) <= step:
            kept.append(line)
    write_text(log, "".join(f"{line}\n" for line in kept))


def read_log(path: Path) -> list[dict[str, Any]]:
    """The log's records in order, without those that a rollback or a resume from an earlier step made void.

    Lines that are not a JSON object (cut off by a crash) are left out; a missing file is an empty log.
    """
    records: list[dict[str, Any]] = []
    try:
        lines = path.read_text("utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return records
    furthest = 0
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict):
            continue
        step = record.get("step")
        step = record["step"] = int(step) if isinstance(step, int | float) and math.isfinite(step) else furthest
        event = record.get("event")
        if event in ("resumed", "logged"):
            begin = step + 1 if event == "resumed" else step  # of what this record replaces
            if begin <= furthest:
                records = [r for r in records if r["step"] < begin or r.get("event") not in _MEASURED]
            furthest = step
        records.append(record)
    return records
