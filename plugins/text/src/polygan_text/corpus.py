"""Lines of text from files, without a copy of each line: one buffer, and where its lines begin and end."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polygan import DataError, decode_utf8, did_you_mean, walk_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson")
LONGEST = 1 << 20
"""Bytes of a line above which it counts as unreadable."""
_MARK = b"\xef\xbb\xbf"  # the byte order mark that some editors put before UTF-8
_MOST = 8 << 30  # bytes of an uncompressed file


@dataclass(frozen=True)
class Corpus:
    """Lines of bytes, each with its place in a file, and with a class if there are classes."""

    buffer: bytes
    begins: np.ndarray
    """(n,) int64"""
    ends: np.ndarray
    places: np.ndarray
    """(n,) number of the line or record in its file, from 1."""
    files: Sequence[tuple[str, int]]
    """(name, first index) of each file."""
    labels: np.ndarray | None = None
    """(n,) int64 indices into ``classes``."""
    classes: tuple[str, ...] = ()
    first_test: int | None = None
    """The lines from this index on come from test files; None: there are none."""

    def __len__(self) -> int:
        return len(self.begins)

    def text(self, index: int) -> str:
        """One line. Raises DataError if the line is not UTF-8 or too long."""
        return decode_line(self.buffer[self.begins[index] : self.ends[index]])

    def name(self, index: int) -> str:
        """The file and the line."""
        file = next(name for name, first in reversed(self.files) if first <= index)
        return f"{file} line {self.places[index]}"


def decode_line(line: bytes) -> str:
    """A line's text. Raises DataError, without the line's place, if the line is not UTF-8 or too long."""
    if len(line) > LONGEST:
        raise DataError(f"has {len(line):,} bytes, more than {LONGEST:,}; split the line")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"is not UTF-8 (byte 0x{line[error.start]:02x} at {error.start + 1}); convert the file"
        ) from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a plain text file with their numbers from 1, read as they are asked for; lines of white space are left out.

    Raises DataError, which names the line, if the file is not UTF-8 text.
    """
    try:
        with path.open("rb") as file:
            place = 0
            while line := file.readline(LONGEST + 2):
                place += 1
                if len(line) > LONGEST + 1:  # otherwise the rest of the line would count as another line
                    raise DataError(f"{path} line {place}: has more than {LONGEST:,} bytes; split the line")
                if b"\0" in line:
                    raise DataError(f"{path} is a binary file, not UTF-8 text; name a text file")
                line = line.removeprefix(_MARK) if place == 1 else line
                try:
                    text = decode_line(line.removesuffix(b"\n").removesuffix(b"\r"))
                except DataError as error:
                    raise DataError(f"{path} line {place}: {error}") from None
                if text.strip():
                    yield place, text
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); name another file") from None


def read_corpus(path: Path, column: str, label_column: str, test: Path | None = None) -> Corpus:
    """A text file (one sample a line), CSV, TSV or JSON lines, each also as .gz, or a folder of such files.

    The lines of ``test``, another such file or folder, come last. Raises DataError if there is nothing to read, and for a
    binary file, a broken archive or a missing column.
    """
    folders = [path] if test is None else [path, test]
    files, tests = [], 0
    for folder in folders:
        here = _files(folder)
        if not here:
            raise DataError(f"{folder} holds no text: put files of {', '.join(SUFFIXES)} (or .gz of them) there")
        files += [(file, file.name if folder.is_file() else str(file.relative_to(folder))) for file in here]
        tests = len(here)
    parts, classes = [], dict[str, int]()
    for file, _ in files:
        if file.name.lower().endswith((".json", ".json.gz")):
            raise DataError(
                f"{file}: polygan reads JSON line by line; write one object a line and call the file .jsonl"
            )
        data, kind = _read(file), kind_of(file) or ".txt"
        if kind == ".txt":
            if label_column:
                raise DataError(f"{file} is plain text and has no column {label_column!r}; use CSV or JSON lines")
            parts.append((_lines(data), None))
        else:
            parts.append(_records(file, data, kind, column, label_column, classes))
    buffers, offset, first, names = [], 0, 0, []
    begins, ends, places, labels = [], [], [], []
    for (_, name), ((data, b, e, p), label) in zip(files, parts, strict=True):
        names.append((name, first))
        buffers.append(data)
        begins.append(b + offset)
        ends.append(e + offset)
        places.append(p)
        labels.append(label)
        offset += len(data)
        first += len(b)
    return Corpus(
        buffers[0] if len(buffers) == 1 else b"".join(buffers),
        np.concatenate(begins),
        np.concatenate(ends),
        np.concatenate(places),
        names,
        np.concatenate(labels) if label_column else None,
        tuple(classes),
        None if test is None else names[-tests][1],
    )


def kind_of(path: Path) -> str | None:
    """The suffix that tells how a file is read, without .gz; None for other files."""
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    return suffix.lower() if suffix.lower() in SUFFIXES else None


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [path / name for name in walk_files(path, lambda name: kind_of(Path(name)) is not None)[0]]


def identity(path: Path) -> str:
    """A hash of the files' names, sizes and times of change."""
    facts = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in _files(path)]
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()


def _read(path: Path) -> bytes:
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as file:
                data = file.read(_MOST + 1)
        else:
            data = path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); repair or remove the file") from None
    if len(data) > _MOST:
        raise DataError(f"{path} unpacks to more than {_MOST >> 30} GB; split the file")
    if b"\0" in data[:8192]:
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        what = "UTF-16" if wide else "a binary file"
        raise DataError(
            f"{path} is {what}, not UTF-8 text; {'convert the file' if wide else 'remove the file, or name a text file'}"
        )
    return data.removeprefix(_MARK)


Lines = tuple[bytes, np.ndarray, np.ndarray, np.ndarray]


def _lines(data: bytes) -> Lines:
    """The lines that hold more than white space, without their ends."""
    breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == 10).astype(np.int64)
    begins = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(data)]])
    kept = [i for i, (b, e) in enumerate(zip(begins, ends, strict=True)) if data[b:e].strip()]
    begins, ends = begins[kept], ends[kept]
    if len(kept):
        ends = ends - np.array([data[e - 1 : e] == b"\r" for e in ends])
    return data, begins, ends, np.array(kept, np.int64) + 1


def _records(
    file: Path, data: bytes, kind: str, column: str, label_column: str, classes: dict[str, int]
) -> tuple[Lines, np.ndarray | None]:
    """The texts of one column, and classes in the order in which they first occur."""
    rows = _json_rows(file, data) if kind in (".jsonl", ".ndjson") else _csv_rows(file, data, kind)
    texts, places, labels = [], [], []
    for place, row in rows:
        for name in filter(None, (column, label_column)):
            if name not in row:
                have = [str(k) for k in row if k is not None]
                raise DataError(
                    f"{file} line {place} has no column {name!r}{did_you_mean(name, have)}; its columns are {', '.join(have)}: "
                    "choose one with --data.column or --data.label_column"
                )
        text = "" if row[column] is None else " ".join(str(row[column]).split("\n")).strip()
        if text:
            texts.append(
                text.encode("utf-8", "surrogatepass")
            )  # half an emoji is refused and counted when the line is read
            places.append(place)
            if label_column:
                if row[label_column] is None:
                    raise DataError(
                        f"{file} line {place} has no value for {label_column!r}; add a value, or remove the line"
                    )
                labels.append(classes.setdefault(str(row[label_column]), len(classes)))
    lengths = np.array([len(t) for t in texts], np.int64)
    ends = lengths.cumsum()
    lines = (b"".join(texts), ends - lengths, ends, np.array(places, np.int64))
    return lines, np.array(labels, np.int64) if label_column else None


def _csv_rows(file: Path, data: bytes, kind: str) -> Iterable[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(decode_utf8(data, file), newline=""), delimiter="\t" if kind == ".tsv" else ",")
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{file} line {reader.line_num} is not CSV ({error}); correct the line") from None


def _json_rows(file: Path, data: bytes) -> Iterable[tuple[int, dict[str, Any]]]:
    for place, line in enumerate(decode_utf8(data, file).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{file} line {place} is not JSON ({error}); correct the line") from None
        if not isinstance(row, dict):
            raise DataError(f"{file} line {place} holds no object; write one {{...}} a line")
        yield place, row
