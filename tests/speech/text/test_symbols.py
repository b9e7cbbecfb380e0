"""Alphabets: numbers of characters, folding, and batches of bytes."""

from __future__ import annotations

import pytest
import torch

from polygan_speech.text.symbols import Alphabet

LATIN = Alphabet(" '-.abcdeéhlopsß漢")
TEXTS = ["Hello, 漢!", "épée à la ‘ß’…", "a — b\u00a0c\tD", "😀 cab 😀", "", "École"]


def batch(texts):
    raw = [text.encode() for text in texts]
    most = max(map(len, raw))
    padded = torch.tensor([[*r, *[0] * (most - len(r))] for r in raw], dtype=torch.uint8)
    return padded, torch.tensor([len(r) for r in raw])


def test_bytes_give_the_numbers_of_their_characters():
    ids, lengths = LATIN.of_bytes(*batch(TEXTS))
    for row, length, text in zip(ids.tolist(), lengths.tolist(), TEXTS, strict=True):
        wanted = LATIN.encode(text)
        assert row[:length] == wanted, text
        assert not any(row[length:])


def test_bytes_behind_the_length_do_not_count():
    text, length = batch(["cab"])
    ids, lengths = LATIN.of_bytes(text, length - 1)
    assert ids[0, :2].tolist() == LATIN.encode("ca")
    assert lengths.tolist() == [2]
    assert ids[0, 2] == 0


def test_bytes_on_the_meta_device_give_a_shape():
    text, length = batch(TEXTS)
    ids, lengths = LATIN.of_bytes(text.to("meta"), length.to("meta"))
    assert ids.shape == text.shape
    assert lengths.shape == length.shape


@pytest.mark.parametrize(
    ("text", "like"), [("HELLO", "hello"), ("é", "é"), ("á", "a"), ("’", "'"), ("–", "-"), ("\u2009", " "), ("x", "")]
)
def test_a_character_that_is_no_symbol_becomes_one_that_is_like_it(text, like):
    assert LATIN.encode(text) == [1 + LATIN.symbols.index(c) for c in like]


def test_characters_outside_are_counted_and_blanks_are_not():
    assert LATIN.outside("x xa\n😀") == {"x": 2, "😀": 1}


def test_an_imported_alphabet_has_its_own_numbers():
    alphabet = Alphabet.of_info({"symbols": "ab", "symbol_ids": [38, 39], "symbol_count": 148})
    assert alphabet.encode("ba") == [39, 38]
    assert len(alphabet) == 148
    assert alphabet.of_bytes(*batch(["ba"]))[0].tolist() == [[39, 38]]
    assert len(Alphabet("ab")) == 3
