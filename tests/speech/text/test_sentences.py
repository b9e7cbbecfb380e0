"""Long texts in pieces."""

from __future__ import annotations

import pytest

from polygan_speech.text.sentences import sentences


@pytest.mark.parametrize(
    ("text", "most", "found"),
    [
        ("One. Two! Three? four", 50, ["One.", "Two!", "Three?", "four"]),
        ('He said "go." She went.', 50, ['He said "go.', "She went."]),
        ("a, b, c, d", 5, ["a, b,", "c, d"]),
        ("abcdefgh ij", 4, ["abcd", "efgh", "ij"]),
        ("one\n\ntwo", 50, ["one", "two"]),
        ("  ", 50, []),
    ],
)
def test_sentences_end_at_marks_and_are_cut_where_they_are_long(text, most, found):
    assert sentences(text, most) == found


def test_five_thousand_characters_lose_no_word():
    text = "the quick brown fox, who jumps over the lazy dog " * 100
    found = sentences(text, 80)
    assert " ".join(found).split() == text.split()
    assert max(map(len, found)) <= 80
