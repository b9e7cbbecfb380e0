"""How recordings lie on disk: one file, a folder, and the LJSpeech layout."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from polygan import DataError, decode_utf8, walk_files

from . import files
from .sources import Recording, RecordingSource

if TYPE_CHECKING:
    from pathlib import Path

    from .settings import AudioSettings

_LOGGER = logging.getLogger("polygan")


def open_folder(root: Path, settings: AudioSettings) -> RecordingSource:
    """Every sound file below a folder, sorted by path; hidden files and folders and other suffixes are passed over."""
    found, others = walk_files(root, _is_sound)
    if not found:
        seen = f"only {', '.join(sorted(others)[:5])} files" if others else "no files"
        raise DataError(f"no sound in {root}: {seen}; looked for {' '.join(files.SUFFIXES)}")
    return RecordingSource([Recording(root / f, os.path.splitext(f)[0]) for f in found], settings)


def open_file(path: Path, settings: AudioSettings) -> RecordingSource:
    """One recording, whatever its suffix."""
    return RecordingSource([Recording(path, path.stem)], settings)


def open_ljspeech(root: Path, settings: AudioSettings) -> RecordingSource:
    """``metadata.csv`` (``id|text`` or ``id|text|normalised text``) and the files of ``wavs/``.

    A line without a file, or with an id that was there before, counts as an unreadable sample. A file without a line
    is used without a transcript; ``info["without_text"]`` counts them, and a warning names the first.
    """
    table, folder = root / "metadata.csv", root / "wavs"
    found, _ = walk_files(folder, _is_sound)
    by_name = {os.path.splitext(f)[0]: f for f in found}
    by_name |= {f: f for f in found}
    recordings, lines = [], dict[str, int]()
    for number, line in enumerate(decode_utf8(table.read_bytes(), table).split("\n"), 1):
        if not line.strip():
            continue
        name, *columns = (part.strip() for part in line.split("|"))
        file, place, problem = by_name.get(name, name), f"{table} line {number}", ""
        if not columns:
            problem = f"{place} is not id|text"
        elif name not in by_name:
            problem = f"{place} has no file {folder / name}.wav (.flac, .ogg, ...)"
        elif file in lines:
            problem = f"{place} repeats the id of line {lines[file]}"
        lines.setdefault(file, number)
        text = next((c for c in reversed(columns) if c), "")
        recordings.append(Recording(folder / file, os.path.splitext(file)[0], text, problem))
    loose = [file for file in found if file not in lines]
    recordings += [Recording(folder / file, os.path.splitext(file)[0]) for file in loose]
    if not recordings:
        raise DataError(f"{table} has no lines and {folder} no sound files; put them there")
    if loose:
        shown = ", ".join(loose[:3]) + (", ..." if len(loose) > 3 else "")
        _LOGGER.warning(
            "%d of %d files have no line in %s and no transcript (%s)", len(loose), len(found), table, shown
        )
    return RecordingSource(recordings, settings, text=True)


def _is_sound(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in files.SUFFIXES
