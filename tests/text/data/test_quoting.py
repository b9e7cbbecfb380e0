"""Quotation marks: enclosing a field, or part of the text."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygan import DataError
from polygan_text.data.quoting import reads_quotes, record

PLAIN = ["text\tkind", "one\ta", "two\tb"]


def read(text, mark=","):
    return record(text.encode().split(b"\n"), 0, mark, True)


@given(st.lists(st.text(st.sampled_from('ab",\n '), max_size=6), min_size=1, max_size=4))
def test_what_the_library_csv_writes_is_read_back(fields):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow(fields)
    text = file.getvalue().removesuffix("\n")
    found, used = read(text) if text else ([""], 1)
    assert found == fields
    assert used == text.count("\n") + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"open,a\nb,c', "no later line closes"),
        ('"open,a\nhe said "so",c', "no later line closes"),
        ('"x" y,a', "text behind a closing quotation mark"),
        ('"open\n' + "x" * (1 << 20) + '"', "no later line closes"),
    ],
)
def test_broken_marks_are_said(text, message):
    with pytest.raises(DataError, match=message):
        read(text)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (PLAIN, False),
        ([*PLAIN, '"Hello said he\ta'], False),  # an open mark
        ([*PLAIN, '"Hello said he\ta', "x\ta", '"yes"\tb'], False),
        ([*PLAIN, '"Hello" said he\ta'], False),
        ([*PLAIN, '"Go away!"\ta'], False),  # one line of speech among lines without marks
        ([*PLAIN, '"Go ""away""!"\ta'], True),  # doubled marks need quotation
        ([*PLAIN, '"one\ttwo"\ta'], True),  # a tab within a text
        ([*PLAIN, '"one', 'two"\ta'], True),  # a break within a text
        ([*PLAIN, '"one', 'two"\ta', "x\ty\tz"], False),  # a row that no quotation mends
        (["text\tkind", '"one"\ta', '"two"\tb'], True),  # every text has marks
        (['"text"\t"kind"', '"one"\ta', "two\tb"], False),
    ],
)
def test_marks_enclose_where_the_whole_file_says_so(rows, expected):
    assert reads_quotes([row.encode() for row in rows], "\t") is expected
