"""Decoding of text in UTF-8, with an error that names the faulty line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def decode_utf8(data: bytes, source: str | Path) -> str:
    """The text of a file's bytes, without a byte order mark. Raises DataError, which names ``source``, the line and the byte."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = f"byte 0x{data[error.start]:02x}"
        raise DataError(f"{source} line {line} is not UTF-8 ({byte}); convert the file to UTF-8") from None
