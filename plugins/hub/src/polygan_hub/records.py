"""What a run's folder tells for the model card. The folder may be a stranger's: links and other files are never published."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from .card import Sample
from .private import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_PIECES = 8
_MOST_BYTES = 4 << 20
_MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "wav": b"RIFF"}


def environment(folder: Path) -> dict[str, Any]:
    """The facts in environment.json; empty where there are none."""
    try:
        found = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _log(folder: Path, step: int) -> Iterator[dict[str, Any]]:
    """The records of the log up to a step. Damaged lines are passed over."""
    try:
        lines = (folder / "log.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int) and record["step"] <= step:
            yield record


def scores(folder: Path, step: int) -> list[dict[str, Any]]:
    """The newest record of each score up to a step, with the step at which it was computed."""
    newest: dict[str, dict[str, Any]] = {}
    for record in _log(folder, step):
        found = record.get("scores") if record.get("event") == "evaluated" else None
        for score in found if isinstance(found, list) else []:
            if isinstance(score, dict) and "name" in score:
                newest[str(score["name"])] = {**score, "step": record["step"]}
    return list(newest.values())


def seconds_at(folder: Path, step: int) -> float | None:
    """The seconds of training up to a step; None where the log does not tell."""
    found = [r["seconds"] for r in _log(folder, step) if isinstance(r.get("seconds"), int | float)]
    return found[-1] if found and math.isfinite(found[-1]) else None


def samples(folder: Path, step: int, out: Path) -> tuple[Sample, ...]:
    """Copy a few of the newest samples up to a step into ``out/samples``, and return what the card shows of them."""
    steps = {int(p.name[5:]): p for p in folder.glob("samples/step-*") if p.name[5:].isdecimal()}
    place = steps.get(max((s for s in steps if s <= step), default=-1))
    if place is None or not place.resolve().is_relative_to(folder.resolve()):
        return ()
    try:
        index = json.loads((place / "pieces.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    found = (_sample(place, piece, out) for piece in (index if isinstance(index, list) else [])[:_MOST_PIECES])
    return tuple(sample for sample in found if sample)


def _sample(place: Path, piece: object, out: Path) -> Sample | None:
    """One piece of the index; None where there is nothing to show."""
    if not isinstance(piece, dict):
        return None
    caption = clean_text(str(piece.get("caption", "")))
    if "text" in piece:
        return Sample(caption, text=clean_text(str(piece["text"])))
    for kind in ("wav", "png"):
        if name := _copied(place, piece.get(kind), kind, out):
            return Sample(caption, file=name)
    return None


def _copied(place: Path, name: object, kind: str, out: Path) -> str:
    """The name in the repository of a copied file; empty for a link, and for a file that is no picture or sound."""
    if not isinstance(name, str) or name != f"{name[:-4]}.{kind}" or not name[:-4].isalnum():
        return ""
    path = place / name
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return ""
    data = path.read_bytes()
    if not data.startswith(_MAGIC[kind]):
        return ""
    (out / "samples").mkdir(exist_ok=True)
    (out / "samples" / name).write_bytes(data)
    return f"samples/{name}"
