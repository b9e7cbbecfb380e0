"""Rows of CSV, TSV and JSON lines by one rule: a row that does not fit is named, with its line, and never guessed at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from polygan import DataError, did_you_mean

from .corpus import LONGEST, decode_line
from .quoting import reads_quotes, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MARKS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
"""What may stand between the fields of a table."""


class Row(NamedTuple):
    """A row of a table."""

    place: int
    """The number of the row's first line in its file, from 1."""
    text: str = ""
    """Empty: the row holds no text."""
    label: str = ""
    odd: str = ""
    """Why the row cannot be used; empty: it can."""
    given: str = ""
    """What the text is made from; empty: the row has none."""


class Columns(NamedTuple):
    """The names of the columns that are wanted."""

    text: str
    label: str = ""
    """Empty: no classes."""
    given: str = ""
    """Empty: texts are made from nothing."""

    def missing(self, file: Path, place: int, have: Sequence[str]) -> DataError | None:
        """The error for columns that are not there; None if all are there."""
        for name in filter(None, self):
            if have.count(name) != 1:
                what = (
                    f"has no column {name!r}{did_you_mean(name, have)}"
                    if name not in have
                    else f"has two columns {name!r}"
                )
                shown = ", ".join(have[:20]) + (" ..." if len(have) > 20 else "")
                options = "--data.column, --data.given" if self.given else "--data.column"
                return DataError(
                    f"{file} line {place} {what}; its columns are {shown}: choose one with {options} or --data.label_column"
                )
        return None


def lines_of(data: bytes) -> list[bytes]:
    """The lines of a file without their ends."""
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return lines if lines[-1] else lines[:-1]  # nothing comes after the last line's end


def json_rows(file: Path, data: bytes, columns: Columns) -> Iterator[Row]:
    """The rows of JSON lines. Raises DataError where no row has the columns."""
    missing: DataError | None = None
    found = False
    for place, line in enumerate(lines_of(data), 1):
        if not line.strip():
            yield Row(place)
            continue
        try:
            values = _object(decode_line(line))
            lacks = columns.missing(file, place, list(values))
            if lacks is not None:
                missing = missing or lacks
                raise DataError(f"has no column {next(n for n in columns if n and n not in values)!r}")
            found = True
            label = _cell(values, columns.label) if columns.label else ""
            given = _cell(values, columns.given) if columns.given else ""
            row = checked(Row(place, _cell(values, columns.text), label, given=given), columns)
        except DataError as error:
            row = Row(place, odd=str(error))
        yield row
    if missing is not None and not found:
        raise missing


def holds_objects(data: bytes) -> bool:
    """Whether each of the first lines is a JSON object."""
    seen = 0
    for line in data[: 4 * LONGEST].split(b"\n", 200)[:200]:
        if not (line := line.strip()):
            continue
        if not line.startswith(b"{") or not line.endswith(b"}"):
            return False
        try:
            _object(decode_line(line))
        except DataError:
            return False
        seen += 1
        if seen == 20:
            break
    return seen > 0


def _object(line: str) -> dict[str, object]:
    """The object of a line; numbers stay as they are written."""
    try:
        found = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
    except RecursionError:
        raise DataError("is nested too deeply; flatten the object") from None
    except ValueError as error:
        raise DataError(f"is not JSON ({error}); correct the line") from None
    if not isinstance(found, dict):
        raise DataError("holds no object; write one {...} a line")
    return found


def _cell(values: dict[str, object], name: str) -> str:
    """The text of a value; empty for null."""
    value = values[name]
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    kind = "a list" if isinstance(value, list) else "an object"
    raise DataError(f"has {kind} in {name!r}, not text; write one string there")


def table_rows(file: Path, data: bytes, kind: str, columns: Columns, notes: list[str]) -> Iterator[Row]:
    """The rows of CSV or TSV (``kind``) below their header. ``notes`` gets how the table was read if its name does not tell."""
    lines = lines_of(data)
    head = next((i for i, line in enumerate(lines) if line.strip()), None)
    if head is None:
        return
    mark, names = _header(file, lines, head, "\t" if kind == ".tsv" else ",", columns)
    if mark != ("\t" if kind == ".tsv" else ","):
        notes.append(f"{file.name} has {_MARKS[mark]} between its fields")
    quotes = mark != "\t" or reads_quotes(lines[head:], mark)
    if not quotes and any(b'"' in line for line in lines):
        notes.append(f"{file.name}: quotation marks are part of the text")
    text, label, given = (names.index(name) if name else None for name in columns)
    at = head + 1
    while at < len(lines):
        place = at + 1
        if not lines[at].strip():
            yield Row(place)
            at += 1
            continue
        try:
            fields, used = record(lines, at, mark, quotes)
            if len(fields) != len(names):
                raise DataError(_wrong_count(len(fields), len(names), mark, quotes))
            cells = ["" if i is None else fields[i] for i in (text, label, given)]
            row = checked(Row(place, cells[0], cells[1], given=cells[2]), columns)
            at += used
        except DataError as error:
            row = Row(place, odd=str(error))
            at += 1  # of a broken row, only its first line is given up
        yield row


def _header(file: Path, lines: Sequence[bytes], head: int, usual: str, columns: Columns) -> tuple[str, list[str]]:
    """What stands between fields, and the names of the columns. Another mark than the usual one must give all columns."""
    problem: DataError | None = None
    for mark in (usual, *(m for m in _MARKS if m != usual)):
        try:
            names = [name.strip() for name in record(lines[: head + 1], head, mark, True)[0]]
        except DataError as error:
            lacks: DataError | None = DataError(f"{file} line {head + 1} {error}")
        else:
            lacks = columns.missing(file, head + 1, names)
            if lacks is None:
                return mark, names
        problem = problem or lacks
    assert problem is not None
    raise problem


def _wrong_count(count: int, wanted: int, mark: str, quotes: bool) -> str:
    """The reason for another number of fields than the header has."""
    remedy = ""
    if count > wanted:
        name = _MARKS[mark]
        remedy = f"; put quotes around a text with {name}" if quotes else f"; write no {name} within a text"
    return f"has {count} field{'s' if count != 1 else ''}, and the header has {wanted}{remedy}"


def checked(row: Row, columns: Columns) -> Row:
    """The row as it is kept. Raises DataError for a text that polygan does not take, or a missing class.

    White space around a text is removed, and a break within a text is kept as one newline character.
    """
    text, given = (value.replace("\r\n", "\n").replace("\r", "\n").strip() for value in (row.text, row.given))
    if not text:
        return Row(row.place)
    label = " ".join(row.label.split())
    if columns.label and not label:
        raise DataError(f"has no value for {columns.label!r}; add a value, or remove the row")
    for value in (text, label, given):
        try:
            decode_line(value.encode("utf-8"))
        except UnicodeEncodeError:
            raise DataError("holds half a character (a lone surrogate); repair the text") from None
    return Row(row.place, text, label, given=given)
