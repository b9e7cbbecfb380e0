"""Bytes that are no UTF-8 are named by their line."""

from __future__ import annotations

import pytest

import polygan


def test_text_comes_without_its_mark():
    assert polygan.decode_utf8("\ufeffsüß\n".encode(), "a.txt") == "süß\n"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_line_and_the_byte_are_named(mark):
    with pytest.raises(
        polygan.DataError, match=r"^a\.txt line 3 is not UTF-8 \(byte 0xdf\); convert the file to UTF-8$"
    ):
        polygan.decode_utf8(mark + b"one\ntwo\nstra\xdfe\nend", "a.txt")
