"""Descriptions of Debian packages: from a Translation file to pairs of a long description and its one-line summary."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from polygan import ConfigError, DataError, LeftOut

from .corpus import Corpus
from .parts import of_texts
from .reading import MEGABYTE, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKED = ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\0", lzma.open), (b"BZh", bz2.open))
"""How packed files begin."""
_LZ4 = b"\x04\x22\x4d\x18"
HOW = (
    "on Debian and Ubuntu apt keeps one as /var/lib/apt/lists/*Translation-en* after `apt-get update`; else download "
    "https://deb.debian.org/debian/dists/stable/main/i18n/Translation-en.xz and add --data.file Translation-en.xz"
)
"""How to get a file of descriptions."""


class Entry(NamedTuple):
    """A package's description."""

    place: int
    """The line of the summary, from 1."""
    package: bytes
    key: bytes
    """The same for packages with the same description."""
    short: bytes
    long: bytes
    """One line; empty: there is only a summary."""


def descriptions_file(name: str) -> Path:
    """The file that a user names. Raises ConfigError without a name, and DataError for a file that is missing."""
    if not name:
        raise ConfigError(f"data.file is empty, and the set debian is made from a file of descriptions: {HOW}")
    path = Path(name).expanduser()
    if not path.is_file():
        raise DataError(f"data.file = {name!r}: there is no such file; {HOW}")
    return path


def read_descriptions(path: Path, most: int) -> Corpus:
    """A row for each package: its summary, made from its long description. A description that repeats is one row.

    ``most``: bytes of the file, unpacked. Raises DataError for a file that is broken, larger, or no list of descriptions.
    """
    entries, packages, known = list[Entry](), set[bytes](), set[bytes]()
    alone, repeated = list[int](), list[int]()
    for entry in entries_of(_content(path, most)):
        if not entry.short or not entry.long:
            alone.append(entry.place)
        elif entry.key in known or entry.package in packages:
            repeated.append(entry.place)
        else:
            entries.append(entry)
            known.add(entry.key)
            packages.add(entry.package)
    if not entries:
        what = "has summaries alone" if alone else "holds no descriptions of packages"
        raise DataError(f"data.file = {str(path)!r} {what}; name a Translation-en file: {HOW}")
    left_out = [
        LeftOut(len(lines), what, why, f"{path.name} line {lines[0]}")
        for lines, what, why in (
            (alone, "packages without a long description", "a pair needs both"),
            (repeated, "repeated descriptions", "each description and each package is one pair"),
        )
        if lines
    ]
    places = np.array([entry.place for entry in entries], np.int64)
    rows, given = of_texts([entry.short for entry in entries]), of_texts([entry.long for entry in entries])
    return Corpus(*rows, places, [(path.name, 0)], left_out=left_out, given=given)


def entries_of(data: bytes) -> Iterator[Entry]:
    """The descriptions in a Translation or Packages file, one for each paragraph that has one."""
    fields, long, inside = dict[str, bytes](), list[bytes](), False
    for place, line in enumerate([*data.split(b"\n"), b""], 1):
        if not line.strip():
            if "short" in fields:
                yield _entry(fields, long)
            fields, long, inside = {}, [], False
        elif line[:1] in (b" ", b"\t"):
            if inside and line.strip() != b".":
                long.append(line.strip())
        else:
            name, _, value = line.partition(b":")
            kind = _KINDS.get(name.strip().lower(), "")
            inside = kind == "short"
            if kind:
                fields[kind] = value.strip()
            if inside:
                fields["place"], long = str(place).encode(), []


_KINDS = {
    b"package": "package",
    b"description-md5": "key",
    b"description-en": "short",
    b"description": "short",
}
"""The fields that are read."""


def _entry(fields: dict[str, bytes], lines: list[bytes]) -> Entry:
    """The lines of a long description become one: paragraphs follow each other, and items of a list stay text."""
    short, long = (b" ".join(text.split()) for text in (fields["short"], b" ".join(lines)))
    key = fields.get("key") or hashlib.md5(short + b"\n" + long, usedforsecurity=False).hexdigest().encode()
    return Entry(int(fields["place"]), fields.get("package", key), key, short, long)


def _content(path: Path, most: int) -> bytes:
    """The bytes of a file, unpacked. Raises DataError for a file that cannot be read, and for more than ``most`` bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(6)
        if head.startswith(_LZ4):
            raise DataError(
                f"{path} is packed by lz4, which polygan does not unpack; unpack the file: lz4 -d {path} Translation-en"
            )
        opened = next((opener for start, opener in _PACKED if head.startswith(start)), open)
        with opened(path, "rb") as file:
            data = at_most(file, most)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path} cannot be read ({error}); repair the file, or get it again") from None
    if data is None:
        raise DataError(f"{path} holds more than {most / MEGABYTE:,.0f} MB of text; raise --data.max_megabytes")
    return data
