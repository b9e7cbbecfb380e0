"""The space before unknown words and before copied pieces."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import LINES

from polygan import ConfigError
from polygan_text.data.vocabulary import Vocabulary, decode, encode_given


@pytest.fixture
def words(source):
    """The facts of texts of words, with pairs, and the numbers of some words."""
    info = source([*LINES, "(a) - b-a/b, « a »"], held_out=0.0, min_count=1)[0].info | {"given_length": 12}
    return info, Vocabulary(info["tokenizer"]).tokenizer.get_vocab()


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["▁the", "<unk>", "▁dog", "<unk>"], "the <unk> dog <unk>"),
        (["<unk>", "<unk>"], "<unk> <unk>"),
        (["▁the", "▁(", "<unk>", ")"], "the (<unk>)"),
        (["▁b", "-", "<unk>", "/", "<unk>"], "b-<unk>/<unk>"),
        (["▁b", "▁-", "<unk>"], "b - <unk>"),
    ],
)
def test_an_unknown_word_has_the_space_before_it(words, tokens, text):
    info, numbers = words
    assert decode(torch.tensor([[numbers[t] for t in tokens] + [1]]), info) == [text]


def test_an_unknown_character_has_no_space_before_it(source):
    info = source(LINES, tokenizer="char", held_out=0.0)[0].info
    numbers = Vocabulary(info["tokenizer"]).tokenizer.get_vocab()
    assert decode(torch.tensor([[numbers["t"], 2, numbers["h"]]]), info) == ["t<unk>h"]


def test_copied_pieces_stand_where_words_would(words):
    """Two words never touch, and an open bracket touches its word; else a piece keeps the space of its source."""
    info, numbers = words
    size = info["vocabulary"]
    _, pieces = encode_given(["Zork (blark) the e\u0301-zork"], info)
    assert pieces == [["▁Zork", "▁(", "blark", ")", "▁the", "▁e\u0301", "-", "zork"]]
    rows = [
        [numbers["▁the"], size, size + 2, size + 5, size + 7],
        [size + 1, size, numbers[")"], size + 6, size + 7],
        [size, size + 1, size + 2, size + 3, size + 4],
        [size, size + 9, 1, size, size],
    ]
    shown = ["the Zork blark e\u0301 zork", "(Zork)-zork", "Zork (blark) the", "Zork"]
    assert decode(torch.tensor(rows), info, pieces * 4) == shown


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_a_source_that_is_copied_as_a_whole_is_itself(source, tokenizer):
    """Right-to-left text, accents in one and in two code points, a joined emoji, and words that no training text has."""
    info = source([*LINES, "e\u0301 ü"], tokenizer=tokenizer, held_out=0.0)[0].info | {"given_length": 200}
    texts = ["שָׁלוֹם \u200fעולם!", "cafe\u0301 café Zürich Zu\u0308rich", "👩‍👩‍👧 the zork (dog)", "مرحبا", "the"]
    tokens, pieces = encode_given(texts, info)
    assert (tokens[:, -1] == 1).all()
    places = torch.arange(200).expand(5, -1) + info["vocabulary"]
    assert decode(torch.where(tokens == 1, tokens, places), info, pieces) == texts
    known = [decode(tokens[i : i + 1], info)[0] for i in (0, 1)]
    assert ("<unk>" in known[0]) == (tokenizer != "bpe")


def test_sources_are_cut_and_end(words):
    info, _ = words
    tokens, pieces = encode_given(["the dog " * 20, "zork"], info)
    assert tokens.shape == (2, 12)
    assert tokens[0, -1] == 1
    assert (tokens[0, :-1] != 1).all()
    assert tokens[1].tolist() == [2] + [1] * 11
    assert [len(p) for p in pieces] == [11, 1]
    assert encode_given([], info)[0].shape == (0, 12)


def test_data_without_pairs_encodes_no_sources(source):
    with pytest.raises(ConfigError, match=r"this data has no pairs of texts; name .* with --data\.given"):
        encode_given(["the dog"], source(LINES)[0].info)
