"""The report: one self-contained HTML file about a run.

The report needs no script and no network, knows no domain, and escapes every text. The same files give the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from markupsafe import Markup

from ..data.pieces import read_pieces
from ..errors import DataError
from ..files import write_text
from ..messages import plural
from ..reading import MB, parse_json, read_text
from ..record.log import read_log
from ..settings.formats import parse_yaml
from .charts import curves, series_of, speed
from .html import duration, finite, gallery, number, page, part, shrunk, soft, tables
from .scores import levels, plots, score_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..data.pieces import Record as StoredPiece
    from ..scoring.judged import Record

    Facts = Mapping[str, object]
    """What config.yaml, data.json or environment.json hold."""

T = TypeVar("T")

BUDGET = {"newest": 1_200_000, "real": 600_000, "history": 2_000_000}
"""The most bytes of pictures, sounds and text in each part of the report; a part always shows at least one piece."""
HISTORY = 12
"""The most steps that the history of samples shows."""

_STATUS = {
    "finished": "finished",
    "preempted": "stopped on request, ready to resume",
    "interrupted": "interrupted, ready to resume",
    "failed": "failed",
}
_SEVERITY = {"good": "✓", "info": "i", "warn": "!", "bad": "✕"}


# Reading the run's files


def _mapping(path: Path) -> tuple[Facts, str]:
    """The mapping in a YAML or JSON file, and a sentence if there is no mapping."""
    try:
        is_yaml = path.suffix == ".yaml"
        text = read_text(path, (1 if is_yaml else 64) * MB, errors="replace")
        found = parse_yaml(text) if is_yaml else parse_json(text)
    except FileNotFoundError:
        return {}, f"{path.name} is missing from the run's folder, so nothing can be shown here."
    except (OSError, ValueError) as error:
        return {}, f"{path.name} cannot be read: {' '.join(str(error).split())}"
    return (found, "") if isinstance(found, dict) else ({}, f"{path.name} holds no mapping.")


def _records(path: Path) -> tuple[list[Record], str]:
    """The records of the log, and a sentence if the log cannot be read."""
    try:
        return read_log(path), ""
    except DataError as error:
        return [], str(error)


# Samples


def _evenly(items: Sequence[T], most: int) -> Sequence[T]:
    """At most ``most`` (2 or more) items, evenly chosen, with the first and the last."""
    if len(items) <= most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def _sampled(folder: Path) -> tuple[list[tuple[int, list[StoredPiece]]], list[StoredPiece], list[str]]:
    """[(step, pieces)] of at most `HISTORY` evenly chosen steps, the real pieces, and sentences about unreadable files."""
    found = folder.glob("samples/step-*")
    steps = {int(p.name[5:]): p for p in found if p.name[5:].isdecimal() and len(p.name) < 24}
    chosen = _evenly(sorted(steps), HISTORY)
    history, real, notes = [], [], []
    for step in chosen:
        try:
            history.append((step, read_pieces(steps[step], folder)))
        except DataError as error:
            notes.append(str(error))
    if (folder / "samples/real").is_dir():
        real = _pieces_of(folder / "samples/real", folder, notes)
    return [(step, pieces) for step, pieces in history if pieces], real, notes


def _pieces_of(place: Path, folder: Path, notes: list[str]) -> list[StoredPiece]:
    """The pieces in a folder of the run; none, and a note, if they cannot be read."""
    try:
        return read_pieces(place, folder)
    except DataError as error:
        notes.append(str(error))
        return []


def _samples(
    folder: Path, history: Sequence[tuple[int, list[StoredPiece]]], real: Sequence[StoredPiece], notes: list[str]
) -> Markup:
    if not history:
        return part("samples", (), False, notes)
    step, newest = history[-1]
    place = folder / f"samples/beside-{step:08d}"
    beside = _pieces_of(place, folder, notes) if place.is_dir() else []
    what = "Given and generated" if beside else "Generated"
    galleries = [(f"{what}, step {step:,}", gallery(beside or newest, BUDGET["newest"]))]
    if real:  # samples of two sides have no truth, and their run keeps real samples
        galleries.append(("Real", gallery(real, BUDGET["real"])))
    return part("samples", galleries, not beside, notes)


def _history(history: Sequence[tuple[int, list[StoredPiece]]]) -> Markup:
    if len(history) < 2:
        return Markup("")
    wide = any("wav" in piece or "text" in piece for _, pieces in history for piece in pieces)
    largest = max(len(shrunk(pieces[0].get("png", b""))) + len(pieces[0].get("wav", b"")) for _, pieces in history)
    history = _evenly(history, max(2, BUDGET["history"] // max(largest, 1)))
    budget, most = BUDGET["history"] // len(history), 2 if wide else 4
    moments = [(f"{step:,}", gallery(pieces, budget, most=most, small=True)) for step, pieces in history]
    return part("history", moments, wide)


# Health


def _health(records: Sequence[Record]) -> Markup:
    from ..scoring.health import describe

    found = [(_SEVERITY[finding.level], finding) for finding in describe(records)]
    return part("findings", found) if found else soft("No signals have been logged yet.")


# The page


def _header(config: Facts, data: Facts, environment: Facts, records: Sequence[Record]) -> tuple[object, ...]:
    """The recipe, the data, the time of training, and how training ended, for the head of the page."""
    told = [r for r in records if r.get("event") not in ("evaluated", "diverged")]
    state = next((r for r in reversed(told) if r.get("event") in ("started", "resumed", "ended")), {})
    status = "running, or stopped without a word"
    if not records:
        status = "training has not logged anything yet"
    elif state.get("event") == "ended":
        status = _STATUS.get(str(state.get("status")), str(state.get("status")))
    step, steps = told[-1]["step"] if told else 0, config.get("steps")
    samples = max((finite(r.get("samples"), 0) for r in told), default=0)
    count = finite(data.get("count"), 0)
    kind = f"{data.get('domain', '')} {'sample' if count == 1 else 'samples'}".strip()
    split = f"{number(data.get('train'))} for training, {number(data.get('held_out'))} held out"
    threads = environment.get("threads")
    facts = [
        ("Steps", f"{step:,}", f"of {number(steps)}" if steps is not None else ""),
        ("Samples seen", number(samples), f"{samples / count:,.1f} times the data" if count else ""),
        ("Training time", duration(_seconds(records)), ""),
        ("Data", f"{count:,.0f}" if count else "unknown", f"{kind}: {split}" if count else ""),
        (
            "Device",
            environment.get("device", "unknown"),
            plural(threads, "thread") if isinstance(threads, int) and threads else "",
        ),
        ("Precision", environment.get("precision", config.get("precision", "unknown")), ""),
    ]
    return config.get("recipe", "An unknown recipe"), _source(config), status[:1].upper() + status[1:], facts


def _seconds(records: Sequence[Record]) -> float:
    return max((finite(r.get("seconds"), 0) for r in records), default=0)


def _source(config: Facts) -> str:
    """The last part of the name or path of the data."""
    data = config.get("data")
    source = str(data.get("source", "")) if isinstance(data, dict) else ""
    return source.replace("\\", "/").rstrip("/").rpartition("/")[2] or "unknown data"


def _events(records: Sequence[Record]) -> Markup:
    """The newest 50 starts, resumes, divergences and ends."""
    told = [r for r in records if r.get("event") in ("started", "resumed", "diverged", "ended")][-50:]
    if not told:
        return Markup("")
    words = [": ".join(str(w) for w in (r.get("event"), r.get("status"), r.get("message")) if w) for r in told]
    lines = [
        f"step {r['step']:,}, after {duration(r.get('seconds'))}: {word}" for r, word in zip(told, words, strict=True)
    ]
    return part("folded", "What happened when", lines)


def _facts(facts: Facts, note: str, title: str = "") -> Markup:
    return tables(facts, title) if facts else soft(note or "Nothing was recorded.")


def _skipped(data: Facts, note: str) -> Markup:
    bad = data.get("bad")
    if not isinstance(bad, list) or not bad:
        return soft(note or "No file was skipped.")
    more = f"and {len(bad) - 100:,} more in data.json" if len(bad) > 100 else ""
    return part("folded", f"{len(bad):,} skipped", bad[:100], True, more)


def write_report(folder: Path) -> Path:
    """Write ``folder/report.html`` from the run's files so far, atomically, and return its path.

    The report names what is missing. Raises `polygan.DataError` if the folder has neither settings nor a log.
    """
    folder = Path(folder)
    if not any((folder / name).is_file() for name in ("config.yaml", "log.jsonl")):
        raise DataError(f"{folder}: no run is here (no config.yaml); name a folder that `polygan train` made")
    config, config_note = _mapping(folder / "config.yaml")
    environment, environment_note = _mapping(folder / "environment.json")
    data, data_note = _mapping(folder / "data.json")
    records, log_note = _records(folder / "log.jsonl")
    series = series_of(records)
    history, real, notes = _sampled(folder)
    name = folder.resolve().name
    about = {key: value for key, value in data.items() if key not in ("bad", "format")}
    sections = (
        ("Samples", _samples(folder, history, real, notes)),
        ("Scores", score_table(records) + plots(records)),
        ("Health", soft(log_note) + _health(records) + _events(records)),
        ("Samples over time", _history(history)),
        ("Curves", curves(series, levels(records))),
        ("Speed", speed(series, _seconds(records))),
        ("Settings", _facts(config, config_note)),
        ("Data", _facts(about, data_note)),
        ("Environment", _facts(environment, environment_note)),
        ("Skipped files", _skipped(data, data_note)),
    )
    title = f"{config.get('recipe', 'polygan')} on {_source(config)}: {name}"
    path = folder / "report.html"
    head = part("report_head", name, *_header(config, data, environment, records))
    write_text(path, page(title=title, head=head, sections=sections))
    return path
