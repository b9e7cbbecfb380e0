"""Rows in one buffer: their texts, their names, and why some cannot be read."""

from __future__ import annotations

import numpy as np
import pytest

from polygan import DataError
from polygan_text.data.corpus import LONGEST, Corpus, decode_line


def test_a_row_has_its_text_and_its_place():
    begins = np.array([0, 3, 3])
    corpus = Corpus(
        b"onetwo", begins, np.array([3, 3, 6]), np.array([1, 2, 7]), [("a", 0), ("b", 2)], odd={1: "is odd"}
    )
    assert [corpus.text(i) for i in (0, 2)] == ["one", "two"]
    assert [corpus.name(i) for i in range(3)] == ["a line 1", "a line 2", "b line 7"]
    with pytest.raises(DataError, match="is odd"):
        corpus.text(1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"stra\xdfe", r"is not UTF-8 \(byte 0xdf at 5\)"),
        (b"x" * (LONGEST + 1), "more than 1,048,576; split the text"),
        (b"a\0b", "holds a zero byte"),
    ],
)
def test_a_line_that_is_no_text_is_refused(line, message):
    with pytest.raises(DataError, match=message):
        decode_line(line)
