"""Texts in columns of data sets of Hugging Face's library `datasets`, and of Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygan import DataError, Table, open_table

from .tables import Row, checked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .tables import Columns

_TEXT = ("string", "large_string")
_CLASS = ("ClassLabel", *_TEXT, "bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


def open_rows(source: str) -> Table:
    """The data set. Texts in two languages, a column `translation`, become the columns `translation.en`, `translation.it`."""
    table = open_table(source, "'polygan-text[datasets]'")
    return Table(table.name, table.data.flatten(), table.left_out)


def table_rows_of(table: Table, columns: Columns) -> Iterator[Row]:
    """The rows. Raises DataError, which names the columns that are there, for columns that are missing or hold no text."""
    if not columns.text:
        raise DataError(f"{table.name} is a table, and --data.column is empty; name the column of the texts")
    table.check(columns.text, "--data.column", *_TEXT)
    if columns.given:
        table.check(columns.given, "--data.given", *_TEXT)
    if columns.label:
        table.check(columns.label, "--data.label_column", *_CLASS)
    place = 0
    for batch in table.batches(*dict.fromkeys(filter(None, columns))):
        for cells in batch:
            place += 1
            text, label, given = ("" if not name or cells[name] is None else cells[name] for name in columns)
            label = str(label).lower() if isinstance(label, bool) else str(label)
            try:
                yield checked(Row(place, text, label, given=given), columns)
            except DataError as error:
                yield Row(place, odd=str(error))
