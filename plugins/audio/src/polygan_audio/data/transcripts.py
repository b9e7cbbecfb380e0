"""Tables of transcripts: a line for each recording, with columns that a bar, a tab or a comma separates."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from polygan import DataError, decode_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

NAMES = ("metadata.csv", "metadata.tsv", "metadata.txt")
"""The names of tables, the first that exists counts."""
_LARGEST = 1 << 28  # bytes: 2 million sentences
_SEPARATORS = {"|": "|", "\t": "tab", ",": "comma"}
SPOKEN = (
    "normalized_text",
    "normalised_text",
    "normalized_transcription",
    "text",
    "transcription",
    "transcript",
    "sentence",
)
"""The names of columns with transcripts, the best first. Columns without a name are told by the length of their content."""
SPEAKERS = ("speaker", "speaker_id", "client_id")
"""The names of columns that say who speaks."""


class Row(NamedTuple):
    """A line of a table: its number, the file that the line names, and the transcript."""

    line: int
    named: str
    """What the line says of the file."""
    file: str
    """The file below the folder of recordings; empty: there is none."""
    text: str
    problem: str = ""
    speaker: str = ""
    """Who speaks; empty: not said, or not asked for."""


class Table(NamedTuple):
    """A table of transcripts, and in words which columns were taken."""

    rows: list[Row]
    columns: str


def read_table(path: Path, files: Sequence[str], prefixes: Iterable[str], *, speakers: bool = False) -> Table:
    """The rows of a table for ``files``, paths below the folder of recordings.

    ``prefixes`` are ways to write this folder before a path ("wavs"). The separator is the one with which most lines name a file.
    ``speakers`` asks who speaks. Raises DataError for a table in another encoding, and for one without the speakers asked for.
    """
    if (size := path.stat().st_size) > _LARGEST:
        raise DataError(
            f"{path} has {size:,} bytes, more than the {_LARGEST:,} of a table that is read; split the data"
        )
    text, known = decode_text(path.read_bytes(), path), _Known(files, prefixes)
    readings = {mark: _split(text, mark) for mark in _SEPARATORS}
    found = {mark: _most(lines, known) for mark, lines in readings.items()}
    mark = max(_SEPARATORS, key=lambda m: found[m][1])  # the first of equals: a bar
    lines, column = readings[mark], found[mark][0]
    head = lines[0][1] if lines and _is_head(lines[0][1], column, known) else None
    lines = lines[1:] if head else lines
    who = _speaker(head, lines, column, path) if speakers else -1
    wanted = _spoken(head, lines, column, who)
    rows = [_row(number, cells, column, wanted, known, path) for number, cells in lines]
    rows = [row._replace(speaker=_cell(cells, who)) for row, (_, cells) in zip(rows, lines, strict=True)]
    return Table(rows, _in_words(path, mark, head, column, wanted, who))


class _Known:
    """Which file a table means, however the table writes the file's place: with or without folders, suffix and ``./``.

    Table and file agree where the shorter of the two paths is the end of the longer. Two files that agree are none.
    """

    def __init__(self, files: Sequence[str], prefixes: Iterable[str]) -> None:
        self._prefixes = ("", *(f"{p}/" for p in prefixes if p))
        self._whole: dict[str, str] = {}
        ends: dict[str, set[str]] = {}
        for file in files:
            place = file.replace(os.sep, "/")
            for written in (place, os.path.splitext(place)[0]):
                self._whole[written] = file
                for end in _ends(written):
                    ends.setdefault(end, set()).add(file)
        self._whole |= {file.replace(os.sep, "/"): file for file in files}
        self._ends = {end: next(iter(owners)) for end, owners in ends.items() if len(owners) == 1}

    def find(self, named: str) -> str:
        """The file, or an empty text."""
        place = named.strip().replace("\\", "/").removeprefix("./")
        if not place or ".." in place.split("/"):  # a path that may lead out of the folder
            return ""
        for prefix in self._prefixes:
            if file := self._whole.get(place.removeprefix(prefix)):
                return file
        written = [place, *_ends(place)]  # tables often name folders of their author's machine
        return next((self._whole[w] for w in written if w in self._whole), "") or self._ends.get(place, "")


def _ends(place: str) -> list[str]:
    """A path without its first folder, without its first two folders, and so on, the longest first."""
    parts = place.split("/")
    return ["/".join(parts[i:]) for i in range(1, len(parts))]


def _split(text: str, mark: str) -> list[tuple[int, list[str]]]:
    """Number and cells of each line that is not empty.

    Quotes count in a table with commas, where a cell may hold commas, and in a table whose first cell is in quotes.
    """
    rows = [(n, line.rstrip("\r").split(mark)) for n, line in enumerate(text.split("\n"), 1)]
    first = next((cells[0].strip() for _, cells in rows if any(cells)), "")
    if (mark == "," and '"' in text) or (len(first) > 1 and first[0] == first[-1] == '"'):
        with suppress(csv.Error):  # a quote that never ends: the quotes are part of the text
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
            rows = [(reader.line_num, cells) for cells in reader]
    rows = [(n, [cell.strip() for cell in cells]) for n, cells in rows]
    return [(n, cells) for n, cells in rows if any(cells)]


def _most(lines: Sequence[tuple[int, list[str]]], known: _Known) -> tuple[int, int]:
    """The column that names most files, and in how many lines. A line of one column has no transcript and does not count."""
    found = Counter(
        column for _, cells in lines if len(cells) > 1 for column, cell in enumerate(cells[:8]) if known.find(cell)
    )
    return max(found.items(), key=lambda item: (item[1], -item[0])) if found else (0, 0)


def _is_head(cells: Sequence[str], column: int, known: _Known) -> bool:
    """Whether a first line holds the names of columns: no file, and a name that columns of transcripts have."""
    named = column < len(cells) and bool(known.find(cells[column]))
    return not named and any(cell.lower() in SPOKEN for cell in cells)


def _speaker(head: Sequence[str] | None, lines: Sequence[tuple[int, list[str]]], column: int, path: Path) -> int:
    """The column that says who speaks: by name, else the one of three columns with few values. DataError where there is none."""
    if head:
        names = [cell.lower() for cell in head]
        if found := next((names.index(name) for name in SPEAKERS if name in names), None):
            return found
    elif lines and max(len(cells) for _, cells in lines) == 3:
        values = {i: {_cell(cells, i) for _, cells in lines} - {""} for i in range(3) if i != column}
        (who, few), (_, many) = sorted(values.items(), key=lambda item: len(item[1]))
        if few and len(few) < len(many) and 2 * len(few) <= len(lines):
            return who
    raise DataError(
        f"{path} has no column of speakers; call a column `speaker` in its first line (id|speaker|text), or use "
        "--data.speakers folders"
    )


def _cell(cells: Sequence[str], index: int) -> str:
    """A cell of a line; empty where the line has no such cell."""
    return cells[index] if 0 <= index < len(cells) else ""


def _spoken(
    head: Sequence[str] | None, lines: Sequence[tuple[int, list[str]]], column: int, speaker: int = -1
) -> list[int]:
    """The columns with transcripts, the best first: by name, else the last of those that are as long as sentences.

    In most of its lines, a column with transcripts is at least half as long as the longest. Names of speakers and numbers are shorter.
    """
    if head:
        names = [cell.lower() for cell in head]
        if found := [names.index(name) for name in SPOKEN if name in names and names.index(name) != column]:
            return found
    long, filled = Counter[int](), Counter[int]()
    for _, cells in lines:
        others = {i: len(cell) for i, cell in enumerate(cells) if i not in (column, speaker) and cell}
        for i, length in others.items():
            filled[i] += 1
            long[i] += 2 * length >= max(others.values())
    return sorted((i for i, count in filled.items() if 2 * long[i] >= count), reverse=True)


def _row(number: int, cells: Sequence[str], column: int, wanted: Sequence[int], known: _Known, path: Path) -> Row:
    named = _cell(cells, column)
    text = next(filter(None, (_cell(cells, i) for i in wanted)), "")
    if len(cells) == 1:
        return Row(number, named, known.find(named), "", f"{path} line {number} is not id|text")
    return Row(number, named, known.find(named), text)


def _in_words(
    path: Path, mark: str, head: Sequence[str] | None, column: int, wanted: Sequence[int], speaker: int = -1
) -> str:
    def said(index: int) -> str:
        return repr(head[index]) if head and index < len(head) else str(index + 1)

    texts = " else ".join(said(i) for i in wanted) or "none"
    who = f", speakers from column {said(speaker)}" if speaker >= 0 else ""
    return f"{path.name}, separated by {_SEPARATORS[mark]}: files from column {said(column)}, text from column {texts}{who}"
