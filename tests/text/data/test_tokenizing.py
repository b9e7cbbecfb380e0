"""Tokenizers: texts to tokens and back, prefixes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import LINES, texts

from polygan import ConfigError
from polygan_text.data.facts import OPEN
from polygan_text.data.vocabulary import decode, encode_prefix, encode_prefixes


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
@pytest.mark.parametrize("name", ["lines.txt", "lines.txt.gz"])
def test_text_comes_back_from_its_tokens(source, tokenizer, name):
    lines = ["Ein  Hund, der bellt.", "it's 3.5 o'clock (at last)!", "春眠不觉晓", "naïve — “quoted” 🙂", "a_b c-d"]
    got, info = texts(source(lines, name, tokenizer=tokenizer, held_out=0.0))
    expected = [" ".join(line.split()) for line in lines] if tokenizer == "word" else lines
    assert sorted(got["train"]) == sorted(expected)
    assert info["eos"] == 1
    assert info["unknown"] == 0


def test_a_prefix_becomes_tokens_or_says_which_words_are_unknown(source):
    made, _ = source(LINES, held_out=0.0)
    ids = encode_prefix("the old dog", made.info)
    assert decode(torch.tensor([ids]), made.info) == ["the old dog"]
    with pytest.raises(ConfigError, match=r"'zebra', 'flies' are not in the vocabulary of \d+ tokens"):
        encode_prefix("the zebra flies", made.info)
    with pytest.raises(ConfigError, match=r"^line 3: 'the zebra': 'zebra' is not in the vocabulary"):
        encode_prefixes(["the old", "the zebra"], ["1", "3"], made.info)
    assert encode_prefixes(["the old dog", "", "the"], (), made.info).tolist() == [
        ids,
        [OPEN] * 3,
        [ids[0], OPEN, OPEN],
    ]
    with pytest.raises(ConfigError, match="at most 8"):
        encode_prefix("the old dog sees the bird the river.", made.info)
