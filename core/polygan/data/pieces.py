"""The pieces of a report - pictures, sounds and passages of text - and their files in a run."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..files import Format, write_folder
from ..reading import MB, parse_json, read_bytes, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Picture:
    """A PNG to show."""

    png: bytes
    caption: str = ""


@dataclass(frozen=True)
class Sound:
    """A WAV to play, with an optional PNG (waveform, spectrogram) beside it. ``rate`` in Hz."""

    wav: bytes
    rate: int
    caption: str = ""
    png: bytes | None = None


@dataclass(frozen=True)
class Passage:
    """Plain text to read. The report escapes it."""

    text: str
    caption: str = ""


Piece = Picture | Sound | Passage

Record = dict[str, Any]
"""The fields of a piece by name."""

PIECES: Format[Any] = Format("the index of samples", 1, DataError)


MOST_PIECES = 4_096
"""The most pieces of a step that are read."""
MOST_BYTES = 256 * MB
"""The most bytes of pictures and sounds of a step that are read."""


def save_pieces(folder: Path, pieces: Sequence[Piece]) -> None:
    """Write ``000.png``, ``001.wav``, ..., and ``pieces.json``. The folder appears when all files are written."""
    index: list[Record] = []
    files: dict[str, bytes] = {}
    for i, piece in enumerate(pieces):
        entry: Record = {"caption": piece.caption}
        for key in ("png", "wav"):
            if data := getattr(piece, key, None):
                entry[key] = f"{i:03d}.{key}"
                files[entry[key]] = data
        entry |= {key: getattr(piece, key) for key in ("rate", "text") if hasattr(piece, key)}
        index.append(entry)
    write_folder(folder, {**files, "pieces.json": json.dumps(index, indent=1).encode()})


def read_pieces(folder: Path, within: Path | None = None) -> list[Record]:
    """The fields of each piece, at most `MOST_PIECES` pieces and about `MOST_BYTES` bytes.

    Files are read from ``folder`` only, even where the index names another place; no link may lead out of ``within``. Pieces that
    cannot be read are left out. Raises DataError if the index or every piece is unreadable.
    """
    entries: list[Record] = []
    problem: Exception | None = None
    left = MOST_BYTES
    try:
        found = parse_json(read_text(folder / "pieces.json", 64 * MB, within=within))
        # format 1 is a list of the pieces, without a number
        version = found["format"] if isinstance(found, dict) else 1
        raws = PIECES.migrate(folder / "pieces.json", version, found)[:MOST_PIECES]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(folder, error) from error
    for raw in raws:
        try:
            entry = _entry(folder, raw, left, within)
        except (OSError, ValueError, TypeError, KeyError) as error:
            problem = error
            continue
        left -= sum(len(entry.get(key, b"")) for key in ("png", "wav"))
        entries.append(entry)
    if problem is not None and not entries:
        raise _unreadable(folder, problem) from problem
    return entries


def to_html(title: str, pieces: Sequence[Record]) -> str:
    """Pieces, by their fields, as HTML for a notebook: everything is within the text, and every word is escaped."""
    shown = [f"<div><code>{escape(title)}</code></div>"]
    for piece in pieces:
        inner = ""
        for key, before, after in (
            ("png", '<img style="max-width:100%;image-rendering:pixelated" alt="" src="data:image/png;base64,', '">'),
            ("wav", '<audio controls preload="metadata" src="data:audio/wav;base64,', '"></audio>'),
        ):
            if piece.get(key):
                inner += f"<div>{before}{base64.b64encode(piece[key]).decode()}{after}</div>"
        if "text" in piece:
            inner += f'<blockquote dir="auto" style="white-space:pre-wrap">{escape(str(piece["text"]))}</blockquote>'
        caption = escape(str(piece.get("caption", "")))
        shown.append(f"<figure>{inner}<figcaption>{caption}</figcaption></figure>")
    return "\n".join(shown)


def _entry(folder: Path, raw: Record, most: int, within: Path | None) -> Record:
    """One piece of the index with the content of its files. Raises OSError, ValueError, TypeError or KeyError."""
    entry: Record = {key: str(raw[key]) for key in ("caption", "text") if key in raw}
    if "rate" in raw:
        entry["rate"] = raw["rate"]
    for key in ("png", "wav"):
        if key in raw:
            entry[key] = read_bytes(folder / Path(raw[key]).name, most, within=within)
    if not entry.keys() & {"png", "wav", "text"}:
        raise ValueError("an entry has neither picture, sound nor text")
    return entry


def _unreadable(folder: Path, error: Exception) -> DataError:
    return DataError(f"{folder}: its samples cannot be read ({error}); sample again or delete it")
