"""How recordings lie on disk: one file, a folder, and a folder with a table of transcripts (the LJSpeech layout)."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NamedTuple

from polygan import DataError, left_out_files, walk_files

from . import files, transcripts
from .recordings import Recording
from .sources import RecordingSource

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from .settings import AudioSettings

_LOGGER = logging.getLogger("polygan")


class Found(NamedTuple):
    """The recordings of a folder, and what else lies there."""

    recordings: list[Recording]
    columns: str
    """Where transcripts come from; empty: there are none."""
    others: Counter[str]
    """Other files by suffix."""


def open_folder(root: Path, settings: AudioSettings) -> RecordingSource:
    """Every sound file below a folder, sorted by path; hidden files and folders and other suffixes are passed over."""
    found = plain_folder(root)
    if not found.recordings:
        seen = f"only {', '.join(sorted(found.others)[:5])} files" if found.others else "no files"
        raise DataError(f"no sound in {root}: {seen}; looked for {' '.join(files.SUFFIXES)}")
    return source_of(found, settings)


def open_file(path: Path, settings: AudioSettings) -> RecordingSource:
    """One recording, whatever its suffix."""
    return RecordingSource([Recording(path, path.stem)], settings)


def open_transcribed(root: Path, table: Path, settings: AudioSettings) -> RecordingSource:
    """A table of transcripts and its recordings; `transcribed_folder` says how."""
    found = transcribed_folder(root, table, speakers=settings.speakers == "column")
    return source_of(found, settings) if found.recordings else open_folder(root, settings)


def table_of(root: Path) -> Path | None:
    """The table of transcripts in a folder, if the folder has one."""
    return next((root / name for name in transcripts.NAMES if (root / name).is_file()), None)


def source_of(found: Found, settings: AudioSettings) -> RecordingSource:
    """The source of recordings that were found."""
    left_out = left_out_files(found.others, lambda _: "no sound that is read")
    return RecordingSource(
        found.recordings, settings, text=bool(found.columns), columns=found.columns, left_out=left_out
    )


def plain_folder(root: Path) -> Found:
    """The sound files below a folder."""
    found, others = walk_files(root, is_sound)
    return Found([Recording(root / f, os.path.splitext(f)[0]) for f in found], "", others)


def transcribed_folder(root: Path, table: Path, *, speakers: bool = False) -> Found:
    """A table (``id|text`` or ``id|text|normalised text``) and the files of ``wavs/``, or of the folder itself.

    `transcripts.read_table` says which columns and separators are read. A line without a file, or with an id that was there before,
    counts as an unreadable sample. A file without a line is used without a transcript; ``info["without_text"]`` counts them.
    A folder in which no line of the table names a file is a plain folder of recordings. With ``speakers`` the table has a column
    of speakers.
    """
    folder = root / "wavs" if (root / "wavs").is_dir() else root
    found, others = walk_files(folder, is_sound)
    read = transcripts.read_table(table, found, ("wavs", root.name), speakers=speakers)
    if folder == root and not any(row.file for row in read.rows):
        return plain_folder(root)
    recordings, lines = [], dict[str, int]()
    for row in read.rows:
        place, problem = f"{table} line {row.line}", row.problem
        named = row.named if folder == root else row.named.removeprefix("./").removeprefix(f"{folder.name}/")
        if not problem and not row.file:
            problem = f"{place} has no file {folder / named}{'' if is_sound(named) else '.wav (.flac, .ogg, ...)'}"
        elif not problem and row.file in lines:
            problem = f"{place} repeats the id of line {lines[row.file]}"
        file = row.file or named
        lines.setdefault(file, row.line)
        recordings.append(Recording(folder / file, os.path.splitext(file)[0], row.text, problem, row.speaker))
    loose = [file for file in found if file not in lines]
    recordings += [Recording(folder / file, os.path.splitext(file)[0]) for file in loose]
    if not recordings:
        raise DataError(f"{table} has no lines and {folder} no sound files; put them there")
    if loose:
        shown = ", ".join(loose[:3]) + (", ..." if len(loose) > 3 else "")
        _LOGGER.warning(
            "%d of %d files have no line in %s and no transcript (%s)", len(loose), len(found), table, shown
        )
    if folder == root:
        others.pop(table.suffix, 0)
    return Found(recordings, read.columns, others)


def is_sound(name: str) -> bool:
    """Whether a file's name has the suffix of sound."""
    return os.path.splitext(name)[1].lower() in files.SUFFIXES
