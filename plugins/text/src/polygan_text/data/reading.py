"""From files to a corpus: plain text, CSV, TSV and JSON lines, each also as .gz, alone or in a folder."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from polygan import DataError, LeftOut, left_out_files, walk_files

from .corpus import MARK, Corpus
from .tables import Columns, holds_objects, json_rows, table_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import IO

    from .tables import Row

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson")
MEGABYTE = 1_000_000
_BLOCK = 1 << 24  # bytes that are unpacked at a time
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MOST_NUMBERS = 20  # fractions that may be classes, such as stars from 0.5 to 5
_FEW = 10  # classes that need no check


class Part(NamedTuple):
    """What one file holds."""

    buffer: bytes
    begins: np.ndarray
    ends: np.ndarray
    places: np.ndarray
    labels: np.ndarray | None = None
    odd: Mapping[int, str] | None = None
    empty: tuple[int, int] = (0, 0)
    """How many rows hold no text, and the line of the first one."""


def read_corpus(
    path: Path, column: str, label_column: str, test: Path | None = None, most: int = 2000 * MEGABYTE
) -> Corpus:
    """A text file (one sample a line), CSV, TSV or JSON lines, each also as .gz, or a folder of such files.

    The rows of ``test``, another such file or folder, come last. ``most``: bytes of all files together, unpacked. Raises
    DataError if there is nothing to read, and for more bytes, a binary file, a broken archive or a missing column.
    """
    files, left_out, tests = [], [], 0
    for folder in [path] if test is None else [path, test]:
        here, others = _files(folder)
        if not here:
            raise DataError(f"{folder} holds no text: put files of {', '.join(SUFFIXES)} (or .gz of them) there")
        files += [(file, file.name if folder.is_file() else str(file.relative_to(folder))) for file in here]
        left_out += others
        tests = len(here)
    classes, notes, parts = dict[str, int](), list[str](), list[Part]()
    columns, rest = Columns(column, label_column), most
    for file, _ in files:
        data = _read(file, rest, most)
        rest -= len(data)
        parts.append(_part(file, data, columns, classes, notes))
    names = [name for _, name in files]
    empty = [(part.empty, name) for part, name in zip(parts, names, strict=True) if part.empty[0]]
    if empty:
        (_, place), name = empty[0]
        count = sum(found for (found, _), _ in empty)
        left_out.append(LeftOut(count, "rows without text", "an empty text is no sample", f"{name} line {place}"))
    corpus = _joined(parts, names, tuple(classes), left_out, notes, tests if test is not None else 0)
    if label_column:
        _check_classes(corpus, label_column)
    return corpus


def kind_of(path: Path) -> str | None:
    """The suffix that tells how a file is read, without .gz; None for other files."""
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    return suffix.lower() if suffix.lower() in SUFFIXES else None


def identity(path: Path) -> str:
    """A hash of the files' names, sizes and times of change."""
    facts = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in _files(path)[0]]
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()


def _files(path: Path) -> tuple[list[Path], list[LeftOut]]:
    """The files to read at a place, and the other files by suffix."""
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
            data = _at_most(file, rest) if packed or size <= rest else None
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


def _at_most(file: IO[bytes] | gzip.GzipFile, most: int) -> bytes | None:
    """All bytes of an open file; None for more than ``most``."""
    blocks, size = list[bytes](), 0
    while block := file.read(min(_BLOCK, most + 1 - size)):
        blocks.append(block)
        size += len(block)
        if size > most:
            return None
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def _part(file: Path, data: bytes, columns: Columns, classes: dict[str, int], notes: list[str]) -> Part:
    """The rows of one file. A file whose name tells nothing is read by what its first lines hold."""
    kind = kind_of(file) or ".txt"
    objects = bool(columns.text) and kind == ".txt" and holds_objects(data)
    if objects:
        notes.append(f"{file.name} is read as JSON lines")
    elif file.name.lower().endswith((".json", ".json.gz")):
        raise DataError(f"{file}: polygan reads JSON line by line; write one object a line and call the file .jsonl")
    if objects or (columns.text and kind in (".jsonl", ".ndjson")):
        return _records(json_rows(file, data, columns), columns, classes)
    if columns.text and kind in (".csv", ".tsv"):
        return _records(table_rows(file, data, kind, columns, notes), columns, classes)
    if columns.label:
        what = "is plain text" if kind == ".txt" else "is read as plain text without --data.column"
        raise DataError(f"{file} {what} and has no column {columns.label!r}; use CSV or JSON lines")
    return _lines(data)


def _lines(data: bytes) -> Part:
    """The lines that hold more than white space, without their ends."""
    breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == 10).astype(np.int64)
    begins = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(data)]])
    if begins[-1] == len(data):  # nothing comes after the last line's end
        begins, ends = begins[:-1], ends[:-1]
    full = np.array([bool(data[b:e].strip()) for b, e in zip(begins, ends, strict=True)], bool)
    kept, blank = np.flatnonzero(full), np.flatnonzero(~full)
    begins, ends = begins[kept], ends[kept]
    if len(kept):
        ends = ends - np.array([data[e - 1 : e] == b"\r" for e in ends])
    empty = (len(blank), int(blank[0]) + 1) if len(blank) else (0, 0)
    return Part(data, begins, ends, kept.astype(np.int64) + 1, empty=empty)


def _records(rows: Iterable[Row], columns: Columns, classes: dict[str, int]) -> Part:
    """The texts of a table, and classes in the order in which they first occur."""
    texts, places, labels, odd = list[bytes](), list[int](), list[int](), dict[int, str]()
    blank, first = 0, 0
    for row in rows:
        if not row.text and not row.odd:
            first = first or row.place
            blank += 1
            continue
        if row.odd:
            odd[len(texts)] = row.odd
        texts.append(row.text.encode())
        places.append(row.place)
        labels.append(classes.setdefault(row.label, len(classes)) if columns.label and not row.odd else 0)
    ends = np.array([len(t) for t in texts], np.int64).cumsum()
    begins = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    told = np.array(labels, np.int64) if columns.label else None
    return Part(b"".join(texts), begins.astype(np.int64), ends, np.array(places, np.int64), told, odd, (blank, first))


def _joined(
    parts: Sequence[Part],
    names: Sequence[str],
    classes: tuple[str, ...],
    left_out: Sequence[LeftOut],
    notes: Sequence[str],
    tests: int,
) -> Corpus:
    """One corpus of all files; the last ``tests`` files are test files."""
    offset, first, files, odd = 0, 0, list[tuple[str, int]](), dict[int, str]()
    begins, ends = [], []
    for part, name in zip(parts, names, strict=True):
        files.append((name, first))
        odd.update({first + row: why for row, why in (part.odd or {}).items()})
        begins.append(part.begins + offset)
        ends.append(part.ends + offset)
        offset += len(part.buffer)
        first += len(part.begins)
    labels = [part.labels for part in parts if part.labels is not None]
    return Corpus(
        parts[0].buffer if len(parts) == 1 else b"".join(part.buffer for part in parts),
        np.concatenate(begins),
        np.concatenate(ends),
        np.concatenate([part.places for part in parts]),
        files,
        np.concatenate(labels) if labels else None,
        classes,
        files[-tests][1] if tests else None,
        odd,
        tuple(left_out),
        tuple(notes),
    )


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
