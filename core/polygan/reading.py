"""Reading files that may come from a stranger: regular files only, of bounded size, and not through a link; and text of any encoding.

A run's folder may hold links to your files, pipes that never answer, devices, and files that claim or expand to gigabytes.
The folder or file that a user names may itself be a link (``named``).
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import stat
from typing import IO, TYPE_CHECKING, Any

from .errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MB = 1 << 20
DEEPEST = 64
"""The most levels of lists and mappings within each other."""
_LONGEST_INTEGER = 40  # digits
_MOST_ITEMS = 4_000_000  # of a JSON file
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
_NOT_THROUGH_LINKS = getattr(os, "O_NOFOLLOW", 0)


class Refused(OSError):
    """A file that polygan does not read, with the reason and the remedy."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EINVAL, reason)

    def __str__(self) -> str:
        return str(self.strerror)


def open_regular(path: Path, most: int = 1 << 62, *, within: Path | None = None, named: bool = False) -> IO[bytes]:
    """A regular file of at most ``most`` bytes to read. Raises Refused for a larger file, a link, a pipe, a device or a folder.

    A missing file raises FileNotFoundError. ``within`` is a folder that no link may lead out of. A file that a user has ``named`` may be a link.
    """
    if within is not None and not _is_inside(path.parent, within):
        raise Refused(f"its folder is a symbolic link that leads out of {within}; replace the link with a copy")
    _check(path.stat() if named else path.lstat())  # before opening, since opening a device may already do something
    handle = os.open(path, _FLAGS | (0 if named else _NOT_THROUGH_LINKS))
    try:
        found = os.fstat(handle)
        _check(found)
        if found.st_size > most:
            raise _too_large(found.st_size, most)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"))
        kind = next((name for test, name in kinds if test(found.st_mode)), "a device")
        raise Refused(f"it is {kind}, and polygan reads only regular files; replace it with a copy of the file")


def _is_inside(folder: Path, top: Path) -> bool:
    try:
        return folder.resolve().is_relative_to(top.resolve())
    except (OSError, RuntimeError):  # links that form a circle
        return False


def read_bytes(path: Path, most: int, *, within: Path | None = None, named: bool = False) -> bytes:
    """The content of a regular file of at most ``most`` bytes. Raises Refused or OSError. The size is checked first."""
    with open_regular(path, most, within=within, named=named) as file:
        data = file.read(os.fstat(file.fileno()).st_size + 1)
    if len(data) > most:  # the file has grown
        raise _too_large(len(data), most)
    return data


def _too_large(size: int, most: int) -> Refused:
    return Refused(f"it has {size:,} bytes, and polygan reads at most {most:,} of such a file; restore the file")


def read_text(
    path: Path, most: int = 64 * MB, *, within: Path | None = None, named: bool = False, errors: str = "strict"
) -> str:
    """`read_bytes` as UTF-8. Raises ValueError for other bytes, unless ``errors`` says "replace"."""
    return read_bytes(path, most, within=within, named=named).decode("utf-8", errors)


def read_lines(file: IO[bytes], longest: int = MB) -> Iterator[str | None]:
    """The lines of a file without their ends, one at a time; None for a line of more than ``longest`` bytes."""
    while part := file.readline(longest):
        if part.endswith(b"\n") or len(part) < longest:
            yield part.rstrip(b"\n").decode("utf-8", "replace")
            continue
        while part and not part.endswith(b"\n"):
            part = file.readline(longest)
        yield None


def parse_json(text: str | bytes) -> Any:
    """The value in a JSON text. Raises ValueError, also for a text that is too deep, too long, or holds a huge integer."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    opened = text.count("{") + text.count("[")
    if opened + text.count(",") > _MOST_ITEMS:
        raise ValueError(f"more than {_MOST_ITEMS:,} values")
    try:
        found = _JSON.decode(text)
    except RecursionError:
        raise ValueError(f"more than {DEEPEST} levels of nesting") from None
    if opened > DEEPEST and is_deep(found):
        raise ValueError(f"more than {DEEPEST} levels of nesting")
    return found


def read_object(path: Path, most: int = 64 * MB, *, within: Path | None = None) -> dict[str, Any]:
    """The JSON object in a file: names with values. Raises OSError or ValueError for anything else."""
    found = parse_json(read_text(path, most, within=within))
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, not names with values")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError(f"an integer of {len(digits):,} digits")
    return int(digits)


_JSON = json.JSONDecoder(parse_int=_integer)


def is_deep(value: object, levels: int = DEEPEST) -> bool:
    """Whether lists and mappings lie within each other on more than ``levels`` levels."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_deep(item, levels - 1) for item in inner)


_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def decode_text(data: bytes, source: str | Path) -> str:
    """The text of a file's bytes in UTF-8, or in UTF-16 with a byte order mark, without the mark.

    Raises DataError, which names ``source``, the line, the byte, and the command that converts the file.
    """
    mark = next((m for m in _MARKS if data.startswith(m)), b"")
    encoding, data = _MARKS.get(mark, "utf-8"), data[len(mark) :]
    if encoding == "utf-8" and b"\0" in data:
        raise DataError(f"{source} holds zero bytes: save the file as UTF-8, or as UTF-16 with a byte order mark")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = f"byte 0x{data[error.start]:02x}"
    name, guess = ("UTF-8", "ISO-8859-1") if encoding == "utf-8" else (encoding.upper(), "UTF-16")
    raise DataError(
        f"{source} line {line} is not {name} ({byte}); if the file is in {guess}, convert it: "
        f"iconv -f {guess} -t UTF-8 FILE > NEW"
    )
