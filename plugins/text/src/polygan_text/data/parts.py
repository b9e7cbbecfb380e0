"""From the content of single files to the rows of one corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from polygan import DataError, LeftOut

from .corpus import Corpus, Rows, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .tables import Columns, Row

Blank = tuple[int, int]
"""How many rows hold no text, and the line of the first such row."""


class Part(NamedTuple):
    """What one file holds."""

    rows: Rows
    places: np.ndarray
    """(n,) the line of each row, from 1."""
    labels: np.ndarray | None = None
    odd: Mapping[int, str] | None = None
    empty: Blank = (0, 0)
    """Rows without text."""
    given: Rows | None = None
    """What the rows' texts are made from."""
    alone: Blank = (0, 0)
    """Rows with a text and without what the text is made from."""


def lines(data: bytes) -> Part:
    """The lines that hold more than white space, without their ends."""
    begins, ends = _bounds(data)
    full = _full(data, begins, ends)
    kept = np.flatnonzero(full)
    return Part(_trimmed(data, begins[kept], ends[kept]), kept.astype(np.int64) + 1, empty=_count(~full))


def as_documents(data: bytes, blocks: bool) -> Part:
    """A whole file, or each block of lines between blank lines, as one text. Line breaks within a text are kept as newlines."""
    data = data.replace(b"\r\n", b"\n")
    begins, ends = _bounds(data)
    full = _full(data, begins, ends)
    if blocks:
        before, after = np.concatenate([[False], full[:-1]]), np.concatenate([full[1:], [False]])
        first, last = np.flatnonzero(full & ~before), np.flatnonzero(full & ~after)
    else:
        first, last = np.flatnonzero(full)[:1], np.flatnonzero(full)[-1:]
    empty = (0, 0) if len(first) else (1, 1)
    return Part(Rows(data, begins[first], ends[last]), first.astype(np.int64) + 1, empty=empty)


def paired_lines(data: bytes, sources: bytes, names: tuple[str, str]) -> Part:
    """The lines of two files, of which equal numbers belong together. Pairs with an empty side are left out.

    ``names`` are those of the files. Raises DataError for files of unequal length.
    """
    sides = [(content, *_bounds(content)) for content in (data, sources)]
    counts = [len(begins) for _, begins, _ in sides]
    if counts[0] != counts[1]:
        raise DataError(
            f"{names[0]} has {counts[0]:,} lines and {names[1]} (--data.given) has {counts[1]:,}; line 1 of one file belongs to "
            "line 1 of the other, so give both files equally many lines"
        )
    full, sourced = (_full(*side) for side in sides)
    kept = np.flatnonzero(full & sourced)
    rows, given = (_trimmed(content, begins[kept], ends[kept]) for content, begins, ends in sides)
    return Part(rows, kept.astype(np.int64) + 1, empty=_count(~full), given=given, alone=_count(full & ~sourced))


def _bounds(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where each line begins and ends."""
    breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == 10).astype(np.int64)
    begins = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(data)]])
    last = begins[-1] == len(data)  # nothing comes after the last line's end
    return (begins[:-1], ends[:-1]) if last else (begins, ends)


def _full(data: bytes, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(n,) whether a line holds more than white space."""
    return np.array([bool(data[b:e].strip()) for b, e in zip(begins, ends, strict=True)], bool)


def _trimmed(data: bytes, begins: np.ndarray, ends: np.ndarray) -> Rows:
    """Lines without the carriage return at their ends."""
    if len(begins):
        ends = ends - np.array([data[e - 1 : e] == b"\r" for e in ends])
    return Rows(data, begins, ends)


def _count(found: np.ndarray) -> Blank:
    return (int(found.sum()), int(found.argmax()) + 1) if found.any() else (0, 0)


def records(rows: Iterable[Row], columns: Columns, classes: dict[str, int]) -> Part:
    """The texts of a table, and classes in the order in which they first occur."""
    texts, givens, places, labels, odd = list[bytes](), list[bytes](), list[int](), list[int](), dict[int, str]()
    empty, alone = list[int](), list[int]()
    for row in rows:
        if not row.odd and (not row.text or (columns.given and not row.given)):
            (alone if row.text else empty).append(row.place)
            continue
        if row.odd:
            odd[len(texts)] = row.odd
        texts.append(row.text.encode())
        givens.append(row.given.encode())
        places.append(row.place)
        labels.append(classes.setdefault(row.label, len(classes)) if columns.label and not row.odd else 0)
    told = np.array(labels, np.int64) if columns.label else None
    given = of_texts(givens) if columns.given else None
    blanks = [(len(found), found[0]) if found else (0, 0) for found in (empty, alone)]
    return Part(of_texts(texts), np.array(places, np.int64), told, odd, blanks[0], given, blanks[1])


def of_texts(texts: Sequence[bytes]) -> Rows:
    """Texts as rows of one buffer."""
    ends = np.array([len(t) for t in texts], np.int64).cumsum()
    begins = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    return Rows(b"".join(texts), begins.astype(np.int64), ends)


def joined(
    parts: Sequence[Part],
    names: Sequence[str],
    classes: tuple[str, ...],
    left_out: Sequence[LeftOut],
    notes: Sequence[str],
    tests: int,
) -> Corpus:
    """One corpus of all files; the last ``tests`` files are test files."""
    first, files, odd = 0, list[tuple[str, int]](), dict[int, str]()
    for part, name in zip(parts, names, strict=True):
        files.append((name, first))
        odd.update({first + row: why for row, why in (part.odd or {}).items()})
        first += len(part.places)
    labels = [part.labels for part in parts if part.labels is not None]
    given = [part.given for part in parts if part.given is not None]
    return Corpus(
        *_one([part.rows for part in parts]),
        np.concatenate([part.places for part in parts]),
        files,
        np.concatenate(labels) if labels else None,
        classes,
        files[-tests][1] if tests else None,
        odd,
        (*left_out, *_blank(parts, names)),
        tuple(notes),
        _one(given) if given else None,
    )


def _one(rows: Sequence[Rows]) -> Rows:
    """All rows in one buffer."""
    offsets = np.cumsum([0, *(len(r.buffer) for r in rows[:-1])])
    return Rows(
        rows[0].buffer if len(rows) == 1 else b"".join(r.buffer for r in rows),
        np.concatenate([r.begins + offset for r, offset in zip(rows, offsets, strict=True)]),
        np.concatenate([r.ends + offset for r, offset in zip(rows, offsets, strict=True)]),
    )


def _blank(parts: Sequence[Part], names: Sequence[str]) -> list[LeftOut]:
    """The rows without text, and the rows without what their text is made from."""
    found = list[LeftOut]()
    for blanks, what, why in (
        ([part.empty for part in parts], "rows without text", "an empty text is no sample"),
        ([part.alone for part in parts], "texts without a source", "an empty source gives nothing to learn from"),
    ):
        where = [(name, place) for name, (count, place) in zip(names, blanks, strict=True) if count]
        if where:
            total = sum(count for count, _ in blanks)
            found.append(LeftOut(total, what, why, place_of(*where[0])))
    return found
