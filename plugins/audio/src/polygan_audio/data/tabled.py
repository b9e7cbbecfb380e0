"""Sound in tables: data sets of Hugging Face's library `datasets`, and Parquet files, a recording a row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from polygan import ConfigError, DataError, Table, open_table

from .cells import Cell
from .recordings import Recording
from .sources import RecordingSource
from .transcripts import SPEAKERS, SPOKEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .settings import AudioSettings

_SOUND = ("Audio", "struct", "binary", "large_binary")
_TEXT = ("string", "large_string")
_SPEAKER = ("ClassLabel", *_TEXT, *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


def open_tabled(source: str, settings: AudioSettings) -> RecordingSource:
    """The rows of ``source`` (`polygan.open_table`): sound, and transcripts and speakers where there are columns of them.

    A column of type Audio names the rate that its rows are resampled to, unless ``settings.sample_rate`` does. Raises DataError,
    which names the columns that are there, for a column that is missing or holds something else.
    """
    if settings.speakers == "folders":
        raise ConfigError(f"data.speakers = 'folders': {source} has columns, no folders; use --data.speakers column")
    table = open_table(source, "'polygan-audio[datasets]'")
    sound = table.check(settings.audio_column or _first(table, _SOUND), "--data.audio_column", *_SOUND)
    text = settings.text_column or next((c for c in SPOKEN if table.kinds.get(c) in _TEXT), "")
    if text:
        table.check(text, "--data.text_column", *_TEXT)
    who = ""
    if settings.speakers == "column":
        who = settings.speaker_column or next((c for c in SPEAKERS if c in table.kinds), SPEAKERS[0])
        table.check(who, "--data.speaker_column", *_SPEAKER)
    found, width = list[Recording](), len(str(len(table)))
    for index, (file, cells) in enumerate(zip(_files(table, sound), _words(table, text, who), strict=True)):
        spoken, speaker = ("" if not c or cells[c] is None else " ".join(str(cells[c]).split()) for c in (text, who))
        name = PurePath(file).stem or f"{index + 1:0{width}}"
        found.append(Recording(Cell(table, sound, index, file), name, spoken, speaker=speaker))
    rate = getattr(table.data.features[sound], "sampling_rate", None) or 0
    if rate and not settings.sample_rate:
        settings = replace(settings, sample_rate=rate)
    said = f"sound from column {sound!r}, text from column {text!r}" + (
        f", speakers from column {who!r}" if who else ""
    )
    return RecordingSource(found, settings, text=bool(text), columns=said if text else "", left_out=table.left_out)


def _first(table: Table, kinds: Sequence[str]) -> str:
    """The first column of the first kind that there is; ``audio`` where there is none."""
    return next((name for kind in kinds for name, own in table.kinds.items() if own == kind), "audio")


def _files(table: Table, column: str) -> list[str]:
    """The names of the files in a column of sound; their bytes are not read."""
    found = list[str]()
    for part in table.data.select_columns(column).with_format("arrow").iter(1000):
        values: Any = part.column(column)
        kind: Any = values.type
        names = [field.name for field in kind] if table.kinds[column] in ("Audio", "struct") else []
        if names and not {"bytes", "path"} & {*names}:
            raise DataError(
                f"column {column!r} of {table.name} holds {', '.join(names[:8])} where sound has `bytes` and `path`; name "
                "another column with --data.audio_column"
            )
        paths = (
            [p for c in values.chunks for p in c.field("path").to_pylist()] if "path" in names else [None] * len(values)
        )
        found += [PurePath((path or "").replace("\\", "/")).name for path in paths]
    return found


def _words(table: Table, *columns: str) -> list[dict[str, Any]]:
    wanted = [*dict.fromkeys(filter(None, columns))]
    return [row for batch in table.batches(*wanted) for row in batch] if wanted else [{}] * len(table)
