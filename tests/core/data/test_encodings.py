"""Text in usual encodings is read, and other bytes are named by their line with the remedy."""

from __future__ import annotations

import pytest

import polygan


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_comes_without_its_mark(encoding):
    assert polygan.decode_text("süß, 春眠\n".encode(encoding), "a.txt") == "süß, 春眠\n"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_line_the_byte_and_the_remedy_are_named(mark):
    message = r"^a\.txt line 3 is not UTF-8 \(byte 0xdf\); if the file is in ISO-8859-1, .*iconv -f ISO-8859-1 -t UTF-8"
    with pytest.raises(polygan.DataError, match=message):
        polygan.decode_text(mark + b"one\ntwo\nstra\xdfe\nend", "a.txt")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a|one".encode("utf-16-le"), r"a\.txt holds zero bytes: save the file as UTF-8"),
        (b"\xff\xfea|\x00\xd8", r"a\.txt line 1 is not UTF-16-LE"),
    ],
)
def test_utf_16_that_is_unmarked_or_damaged_is_named(data, message):
    with pytest.raises(polygan.DataError, match=message):
        polygan.decode_text(data, "a.txt")
