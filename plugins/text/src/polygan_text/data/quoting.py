"""Quotation marks in CSV and TSV (RFC 4180): where they enclose a field, and where they are text."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from polygan import DataError

from .corpus import LONGEST, decode_line

if TYPE_CHECKING:
    from collections.abc import Sequence


def record(lines: Sequence[bytes], at: int, mark: str, quotes: bool) -> tuple[list[str], int]:
    """The fields of the record that begins at a line, and how many lines it takes. Raises DataError for broken quotation.

    Only a field that begins with a quotation mark is enclosed. An enclosed field may hold ``mark``, line breaks and doubled
    quotation marks.
    """
    text = decode_line(lines[at])
    if not quotes:
        return text.split(mark), 1
    fields, used = _fields(text, mark), 1
    size, parts = len(text), [text]
    with suppress(DataError):  # what comes behind an open mark by accident is not what is wrong
        while fields is None and at + used < len(lines) and (size := size + len(lines[at + used])) <= LONGEST:
            parts.append(decode_line(lines[at + used]))
            used += 1
            if '"' in parts[-1]:
                fields = _fields("\n".join(parts), mark)
    if fields is None:
        raise DataError('opens a quotation mark (") that no later line closes; close the mark, or double it')
    return fields, used


def _fields(text: str, mark: str) -> list[str] | None:
    """The fields of a record; None while a quotation mark is open. Raises DataError for text behind a closing mark."""
    if '"' not in text:
        return text.split(mark)
    fields, at = list[str](), 0
    while True:
        if text.startswith('"', at):
            end = text.find('"', at + 1)
            while end >= 0 and text.startswith('""', end):
                end = text.find('"', end + 2)
            if end < 0:
                return None
            fields.append(text[at + 1 : end].replace('""', '"'))
            end += 1
            if end < len(text) and not text.startswith(mark, end):
                raise DataError(
                    'has text behind a closing quotation mark ("); double each mark that is part of the text'
                )
        else:
            end = text.find(mark, at)
            end = len(text) if end < 0 else end
            fields.append(text[at:end])
        if end == len(text):
            return fields
        at = end + 1


def reads_quotes(lines: Sequence[bytes], mark: str) -> bool:
    """Whether quotation marks enclose fields in all of a file whose usual form has none (TSV).

    They do where no field that begins with a mark is broken, and where marks are needed or whole columns have them. A
    single line of speech in quotation marks is text.
    """
    rows = [line.decode("utf-8", "replace") for line in lines if line.strip()]
    if not any(row.startswith('"') or f'{mark}"' in row for row in rows):
        return False
    width = rows[0].count(mark)
    if any(
        row.count(mark) != width for row in rows
    ):  # breaks or marks within fields: only quotation marks make sense of the file
        return _is_whole(lines, mark, width + 1)
    needed, columns = True, [[True, False] for _ in range(width + 1)]
    for row in rows[1:]:
        for field, column in zip(row.split(mark), columns, strict=True):
            if not field.startswith('"'):
                column[0] = False
                continue
            column[1] = True
            inner = field[1:-1]
            if len(field) < 2 or not field.endswith('"') or '"' in inner.replace('""', ""):
                return False
            needed = needed and '""' in inner
    return needed or all(every for every, some in columns if some)


def _is_whole(lines: Sequence[bytes], mark: str, width: int) -> bool:
    """Whether every record of a file is well formed with quotation marks, and has ``width`` fields."""
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        try:
            fields, used = record(lines, at, mark, True)
        except DataError:
            return False
        if len(fields) != width:
            return False
        at += used
    return True
