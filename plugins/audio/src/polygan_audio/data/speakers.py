"""Recordings in a folder for each speaker, each with a table of transcripts of its own or without."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING

from polygan import DataError, passed_over

from .layouts import Found, is_sound, plain_folder, source_of, table_of, transcribed_folder
from .recordings import Recording

if TYPE_CHECKING:
    from pathlib import Path

    from .settings import AudioSettings
    from .sources import RecordingSource


def open_speakers(root: Path, settings: AudioSettings) -> RecordingSource:
    """Recordings whose speaker is named by the first folder below ``root``, or below the folder of a table's recordings.

    A speaker's folder may be of the LJSpeech layout (``SPEAKER/metadata.csv`` and ``SPEAKER/wavs/``). Recordings that lie in no
    speaker's folder are left out. DataError where there is no speaker's folder.
    """
    if table := table_of(root):
        found = transcribed_folder(root, table)
        for recording in found.recordings:
            recording.speaker = _first_folder(recording.name)
        return source_of(found, settings)
    folders = sorted(f.name for f in root.iterdir() if f.is_dir() and not passed_over(f.name))
    all_found = [(name, _found(root / name)) for name in folders]
    recordings = [Recording(f, f.stem) for f in sorted(root.iterdir()) if is_sound(f.name) and not passed_over(f.name)]
    columns = dict[str, None]()
    others = Counter[str]()
    for speaker, found in all_found:
        others += found.others
        columns |= dict.fromkeys(filter(None, [found.columns]))
        for recording in found.recordings:
            recording.name, recording.speaker = str(PurePath(speaker, recording.name)), speaker
            recordings.append(recording)
    if not any(recording.speaker for recording in recordings):
        raise DataError(
            f"{root} has no folder with sound; make a folder for each speaker, {root / 'SPEAKER' / 'NAME.wav'}, or leave "
            "--data.speakers out"
        )
    more = f", and {len(columns) - 1:,} more kinds of tables" if len(columns) > 1 else ""
    return source_of(Found(recordings, f"{next(iter(columns), '')}{more}", others), settings)


def _found(folder: Path) -> Found:
    """The recordings of one speaker."""
    table = table_of(folder)
    return transcribed_folder(folder, table) if table else plain_folder(folder)


def _first_folder(name: str) -> str:
    """The first folder of a path; empty for a file without a folder."""
    parts = PurePath(name).parts
    return parts[0] if len(parts) > 1 else ""
