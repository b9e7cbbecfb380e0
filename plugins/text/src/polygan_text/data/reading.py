"""From files to a corpus: plain text, CSV, TSV and JSON lines, each also as .gz, alone or in a folder."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from polygan import DataError, LeftOut, is_table, left_out_files, walk_files

from .columnar import open_rows, table_rows_of
from .corpus import MARK
from .parts import Part, as_documents, joined, lines, paired_lines, records
from .tables import Columns, holds_objects, json_rows, table_rows

if TYPE_CHECKING:
    import bz2
    import lzma
    from collections.abc import Iterator
    from typing import IO

    from polygan import Table

    from .corpus import Corpus
    from .tables import Row

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson")
MEGABYTE = 1_000_000
_BLOCK = 1 << 24  # bytes that are unpacked at a time
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MOST_NUMBERS = 20  # fractions that may be classes, such as stars from 0.5 to 5
_FEW = 10  # classes that need no check


class Reader:
    """Reads files one after the other, at most ``most`` bytes of all together, unpacked."""

    def __init__(self, columns: Columns, most: int, documents: str) -> None:
        self.columns, self._rest, self._most, self._documents = columns, most, most, documents
        self.classes, self.notes = dict[str, int](), list[str]()

    def part(self, file: Path, given: str) -> Part:
        """The rows of a file. ``given`` names the file of the sources where the texts are lines."""
        data = self._read(file)
        if rows := _table(file, data, self.columns, self.notes):
            if self._documents != "line":
                raise DataError(
                    f"{file} is a table, of which each row is a text; leave --data.documents out, or give text files"
                )
            return records(rows, self.columns, self.classes)
        kind = kind_of(file) or ".txt"
        what = "is plain text" if kind == ".txt" else "is read as plain text without --data.column"
        if self.columns.label:
            raise DataError(f"{file} {what} and has no column {self.columns.label!r}; use CSV or JSON lines")
        if not self.columns.given:
            return lines(data) if self._documents == "line" else as_documents(data, self._documents == "block")
        if self._documents != "line":
            raise DataError(
                f"data.documents = {self._documents!r} has no sources: {file} {what}, whose lines belong to the lines of "
                "--data.given; leave --data.documents out, or give a table"
            )
        return paired_lines(data, self._read(_line_file(given, file, what)), (str(file), given))

    def part_of_table(self, table: Table) -> Part:
        """The rows of a data set of the library `datasets`."""
        if self._documents != "line":
            raise DataError(f"{table.name} is a table, of which each row is a text; leave --data.documents out")
        return records(self._counted(table), self.columns, self.classes)

    def _counted(self, table: Table) -> Iterator[Row]:
        """The rows, until they hold more bytes than are allowed."""
        for row in table_rows_of(table, self.columns):
            self._rest -= len(row.text.encode()) + len(row.given.encode())
            if self._rest < 0:
                raise DataError(
                    f"{table.name} has more than {self._most / MEGABYTE:,.0f} MB of text; raise --data.max_megabytes, or "
                    "split the data"
                )
            yield row

    def _read(self, path: Path) -> bytes:
        data = _read(path, self._rest, self._most)
        self._rest -= len(data)
        return data


def read_corpus(
    path: Path,
    column: str,
    label_column: str,
    test: Path | None = None,
    most: int = 2000 * MEGABYTE,
    given: str = "",
    test_given: str = "",
    documents: str = "line",
) -> Corpus:
    """A text file (one sample a line), CSV, TSV or JSON lines, each also as .gz, or a folder of such files; or a data set of the
    library `datasets` (`polygan.open_table`).

    The rows of ``test``, another such file or folder, come last. ``most``: bytes of all files together, unpacked. ``given`` is
    what texts are made from: a column, or beside a text file a file of as many lines (``test_given``: beside ``test``).
    ``documents``: what a text of a text file is, a ``line``, a ``block`` of lines or the ``file``. Raises
    DataError if there is nothing to read, and for more bytes, a binary file, a broken archive, a missing or empty column.
    """
    left_out, names, parts, tests = list[LeftOut](), list[str](), list[Part](), 0
    reader = Reader(Columns(column, label_column, given), most, documents)
    files = [(path, given)] if test is None else [(path, given), (test, test_given)]
    found = [(folder, sources, *_files(folder)) for folder, sources in files]
    for folder, _, here, _ in found:
        if not here and not is_table(str(folder)):
            raise DataError(f"{folder} holds no text: put files of {', '.join(SUFFIXES)} (or .gz of them) there")
    for folder, sources, here, others in found:
        left_out += others
        if not here:
            table = open_rows(str(folder))
            left_out += table.left_out
            names.append(table.name)
            parts.append(reader.part_of_table(table))
            tests = 1
            continue
        names += [file.name if folder.is_file() else file.relative_to(folder).as_posix() for file in here]
        parts += [reader.part(file, sources if folder.is_file() else "") for file in here]
        tests = len(here)
    corpus = joined(parts, names, tuple(reader.classes), left_out, reader.notes, tests if test is not None else 0)
    if given and not len(corpus) and (alone := sum(part.alone[0] for part in parts)):
        raise DataError(
            f"data.given = {given!r} is empty in all {alone:,} rows that have a text; name another column or file with --data.given"
        )
    if label_column:
        _check_classes(corpus, label_column)
    return corpus


def _line_file(given: str, file: Path, what: str) -> Path:
    """The file of the sources that belong to the lines of ``file``. Raises DataError if there is none."""
    beside = "; name a text file with one source for each line of the texts"
    if not given:
        raise DataError(
            f"{file} {what}, and its sources are not named: use one text file, with --data.given FILE (of --data.test: "
            "--data.test_given FILE), or tables with a column of sources"
        )
    path = Path(given).expanduser()
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "is no file"
        raise DataError(f"data.given = {given!r} {problem}, and {file} {what} without columns{beside}")
    if kind_of(path) not in (None, ".txt"):
        raise DataError(f"data.given = {given!r} is a table, and {file} {what}{beside}")
    if path.resolve() == file.resolve():
        raise DataError(f"data.given = {given!r} is the file of the texts themselves{beside}")
    return path


def kind_of(path: Path) -> str | None:
    """The suffix that tells how a file is read, without .gz; None for other files."""
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    return suffix.lower() if suffix.lower() in SUFFIXES else None


def identity(path: Path) -> str:
    """A hash of the files' names, sizes and times of change; of a table the library's fingerprint."""
    if is_table(str(path)):
        return open_rows(str(path)).fingerprint()
    facts = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in _files(path)[0]]
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()


def _files(path: Path) -> tuple[list[Path], list[LeftOut]]:
    """The files to read at a place, and the other files by suffix; none where `polygan.open_table` reads the place."""
    if is_table(str(path)):
        return [], []
    if path.is_file():
        return [path], []
    names, others = walk_files(path, lambda name: kind_of(Path(name)) is not None)
    found = [path / name for name in names]
    left_out = left_out_files(others, lambda _: f"only {', '.join(SUFFIXES)} and .gz of them are read in a folder")
    if odd := [file for file in found if not file.is_file()]:  # a pipe would be waited for without end
        left_out.append(LeftOut(len(odd), "pipes, devices or broken links", "only regular files are read", str(odd[0])))
    return [file for file in found if file not in odd], left_out


def _read(path: Path, rest: int, most: int) -> bytes:
    """The bytes of a file, at most ``rest`` of them, without a byte order mark."""
    packed = path.suffix.lower() == ".gz"
    try:
        size = path.stat().st_size
        with gzip.open(path) if packed else path.open("rb") as file:
            data = at_most(file, rest) if packed or size <= rest else None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); repair or remove the file") from None
    if data is None:
        verb = "unpacks to" if packed else "has"
        raise DataError(
            f"{path} {verb} more than the {rest / MEGABYTE:,.0f} MB that are left of {most / MEGABYTE:,.0f} MB for all text; "
            "raise --data.max_megabytes, or split the data"
        )
    if b"\0" in data[:8192]:
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        what = "UTF-16" if wide else "a binary file"
        raise DataError(
            f"{path} is {what}, not UTF-8 text; {'convert the file' if wide else 'remove the file, or name a text file'}"
        )
    data = data.removeprefix(MARK)
    return data.replace(b"\r", b"\n") if b"\n" not in data else data  # line ends of old Macs


def at_most(file: IO[bytes] | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile, most: int) -> bytes | None:
    """All bytes of an open file; None for more than ``most``."""
    blocks, size = list[bytes](), 0
    while block := file.read(min(_BLOCK, most + 1 - size)):
        blocks.append(block)
        size += len(block)
        if size > most:
            return None
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def _table(file: Path, data: bytes, columns: Columns, notes: list[str]) -> Iterator[Row] | None:
    """The rows of a table; None for lines of text. A file whose name tells nothing is read by what its first lines hold."""
    kind = kind_of(file) or ".txt"
    objects = bool(columns.text) and kind == ".txt" and holds_objects(data)
    if objects:
        notes.append(f"{file.name} is read as JSON lines")
    elif file.name.lower().endswith((".json", ".json.gz")):
        raise DataError(f"{file}: polygan reads JSON line by line; write one object a line and call the file .jsonl")
    if objects or (columns.text and kind in (".jsonl", ".ndjson")):
        return json_rows(file, data, columns)
    if columns.text and kind in (".csv", ".tsv"):
        return table_rows(file, data, kind, columns, notes)
    return None


def _check_classes(corpus: Corpus, column: str) -> None:
    """Raise DataError where a column holds numbers to be predicted, or something else for nearly each row."""
    classes, rows = corpus.classes, len(corpus) - len(corpus.odd)
    shown = ", ".join(map(repr, classes[:3]))
    remedy = "name another column with --data.label_column, or leave the option out"
    numbers = len(classes) > _MOST_NUMBERS and all(map(_NUMBER.fullmatch, classes))
    if numbers and any(not float(c).is_integer() for c in classes):
        raise DataError(
            f"column {column!r} holds {len(classes):,} different numbers ({shown} ...), which are no classes; round the numbers "
            f"to a few steps, {remedy}"
        )
    if len(classes) > max(_FEW, rows / 2):
        raise DataError(
            f"column {column!r} has {len(classes):,} classes for {rows:,} rows ({shown} ...), too few rows for each class; {remedy}"
        )
