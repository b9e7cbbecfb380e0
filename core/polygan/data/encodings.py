"""Decoding of a user's text files, with an error that names the faulty line and the remedy."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from ..errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

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
