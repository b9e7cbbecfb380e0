"""The report: one self-contained HTML file about a run.

The report needs no script and no network, knows no domain, and escapes every text. The same files give the same bytes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..data.pieces import read_pieces
from ..errors import DataError
from ..files import write_text
from ..messages import plural
from ..reading import MB, parse_json, read_text
from ..record.log import read_log
from ..settings.bounded_yaml import parse_yaml
from .charts import curves, series_of, speed
from .html import duration, finite, gallery, number, safe, section, shrunk, soft, tables
from .scores import levels, plots, score_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..data.pieces import Record as StoredPiece
    from ..scoring.records import Record

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
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
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


def _drawable(value: float) -> float:
    """The value; nan for a value that no axis can show."""
    return value if abs(value) < 1e100 else math.nan


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
) -> str:
    if not history:
        return soft("No samples have been drawn yet.") + "".join(map(soft, notes))
    step, newest = history[-1]
    place = folder / f"samples/beside-{step:08d}"
    beside = _pieces_of(place, folder, notes) if place.is_dir() else []
    if beside:
        shown = f"<h3>Given and generated, step {step:,}</h3>{gallery(beside, BUDGET['newest'])}"
        shown += (
            f"<h3>Real</h3>{gallery(real, BUDGET['real'])}" if real else ""
        )  # of two sides, whose samples have no truth
        return f"<div>{shown}</div>" + "".join(map(soft, notes))
    columns = f"<div><h3>Generated, step {step:,}</h3>{gallery(newest, BUDGET['newest'])}</div>"
    if real:
        columns += f"<div><h3>Real</h3>{gallery(real, BUDGET['real'])}</div>"
    return f"<div class=pair>{columns}</div>" + "".join(map(soft, notes))


def _history(history: Sequence[tuple[int, list[StoredPiece]]]) -> str:
    if len(history) < 2:
        return ""
    wide = any("wav" in piece or "text" in piece for _, pieces in history for piece in pieces)
    largest = max(len(shrunk(pieces[0].get("png", b""))) + len(pieces[0].get("wav", b"")) for _, pieces in history)
    history = _evenly(history, max(2, BUDGET["history"] // max(largest, 1)))
    budget = BUDGET["history"] // len(history)
    figures = "".join(
        f"<figure><figcaption>step {step:,}</figcaption>"
        f"{gallery(pieces, budget, most=2 if wide else 4, small=True)}</figure>"
        for step, pieces in history
    )
    return (
        f"<details open><summary>{len(history)} moments of the same fixed inputs</summary>"
        f'<div class="strip{" wide" if wide else ""}">{figures}</div></details>'
    )


# Health


def _health(records: Sequence[Record]) -> str:
    from ..scoring.health import describe

    findings = "".join(
        f"<li class={finding.level}><span class=mark aria-hidden=true>{_SEVERITY[finding.level]}</span>"
        f"<div><b>{safe(finding.title)}</b><p>{safe(finding.text)}</p></div></li>"
        for finding in describe(records)
    )
    return f"<ul class=findings>{findings}</ul>" if findings else soft("No signals have been logged yet.")


# The page


def _header(name: str, config: Facts, data: Facts, environment: Facts, records: Sequence[Record]) -> str:
    """The recipe, the data, the time of training, and how training ended."""
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
    tiles = "".join(
        f"<div><dt>{term}</dt><dd>{safe(fact)}{f'<small>{safe(more)}</small>' if more else ''}</dd></div>"
        for term, fact, more in facts
    )
    return (
        f"<header>\n<div class=soft>polygan run {safe(name)}</div>\n"
        f"<h1>{safe(config.get('recipe', 'An unknown recipe'))} on {safe(_source(config))}</h1>\n"
        f"<p>{safe(status[:1].upper() + status[1:])}.</p>\n<dl class=facts>{tiles}</dl>\n</header>\n"
    )


def _seconds(records: Sequence[Record]) -> float:
    return max((finite(r.get("seconds"), 0) for r in records), default=0)


def _source(config: Facts) -> str:
    """The last part of the name or path of the data."""
    data = config.get("data")
    source = str(data.get("source", "")) if isinstance(data, dict) else ""
    return source.replace("\\", "/").rstrip("/").rpartition("/")[2] or "unknown data"


def _events(records: Sequence[Record]) -> str:
    """The newest 50 starts, resumes, divergences and ends."""
    told = [r for r in records if r.get("event") in ("started", "resumed", "diverged", "ended")][-50:]
    if not told:
        return ""
    words = [": ".join(str(w) for w in (r.get("event"), r.get("status"), r.get("message")) if w) for r in told]
    lines = "".join(
        f"<li>step {r['step']:,}, after {duration(r.get('seconds'))}: {safe(word)}</li>"
        for r, word in zip(told, words, strict=True)
    )
    return f"<details><summary>What happened when</summary><ul>{lines}</ul></details>"


def _facts(facts: Facts, note: str, title: str = "") -> str:
    return tables(facts, title) if facts else soft(note or "Nothing was recorded.")


def _skipped(data: Facts, note: str) -> str:
    bad = data.get("bad")
    if not isinstance(bad, list) or not bad:
        return soft(note or "No file was skipped.")
    lines = "".join(f"<li>{safe(reason)}</li>" for reason in bad[:100])
    more = soft(f"and {len(bad) - 100:,} more in data.json") if len(bad) > 100 else ""
    return f"<details open><summary>{len(bad):,} skipped</summary><ul>{lines}</ul>{more}</details>"


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
    series = {name: [(step, _drawable(v)) for step, v in points] for name, points in series_of(records).items()}
    history, real, notes = _sampled(folder)
    name = folder.resolve().name
    about = {key: value for key, value in data.items() if key not in ("bad", "format")}
    body = "".join(
        (
            _header(name, config, data, environment, records),
            section("Samples", _samples(folder, history, real, notes)),
            section("Scores", score_table(records) + plots(records)),
            section("Health", soft(log_note) + _health(records) + _events(records)),
            section("Samples over time", _history(history)),
            section("Curves", curves(series, levels(records))),
            section("Speed", speed(series, _seconds(records))),
            section("Settings", _facts(config, config_note)),
            section("Data", _facts(about, data_note)),
            section("Environment", _facts(environment, environment_note)),
            section("Skipped files", _skipped(data, data_note)),
        )
    )
    title = safe(f"{config.get('recipe', 'polygan')} on {_source(config)}: {name}")
    css = Path(__file__).with_name("report.css").read_text("utf-8")
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{title}</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
    path = folder / "report.html"
    write_text(path, page.encode("utf-8", "backslashreplace").decode())  # a name may hold what UTF-8 does not
    return path
