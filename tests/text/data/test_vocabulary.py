"""From texts to numbers and back: prefixes, what an untrained policy writes, two runs compared."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import DOMAIN, LINES

from polygan import ConfigError, DataError
from polygan_text.data.facts import OPEN
from polygan_text.data.vocabulary import characters, decode, encode_prefix, encode_prefixes


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


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_a_special_token_within_a_prefix_is_text(source, tokenizer):
    made, _ = source([*LINES, "<s> the </s> dog <unk>"], tokenizer=tokenizer, held_out=0.0, max_length=40)
    ids = encode_prefix("<s> the </s> dog <unk>", made.info)
    assert not {0, 1, 2} & set(ids)
    assert decode(torch.tensor([ids]), made.info) == ["<s> the </s> dog <unk>"]
    plain = source(LINES, tokenizer=tokenizer, held_out=0.0, max_length=40)[0].info
    if tokenizer == "bpe":
        assert not {0, 1, 2} & set(encode_prefix("a </s> b", plain))
    else:
        with pytest.raises(ConfigError, match="are not in the vocabulary"):
            encode_prefix("the </s>", plain)


def test_a_policy_of_bytes_that_has_learned_nothing_writes_only_characters(source):
    made, _ = source(LINES, tokenizer="bpe", held_out=0.0)
    size = made.info["vocabulary"]
    tokens = torch.randint(0, size, (400, 30), generator=torch.Generator().manual_seed(0))
    tokens[tokens == 1] = 0
    shown = "".join(decode(tokens, {**made.info, "length": 30}))
    assert len(shown) > 1000
    assert not {"\ufffd", "\0", "\x1b"} & set(shown)
    assert "<unk>" not in shown
    shown.encode("utf-8")


def test_bytes_that_form_a_character_are_kept_beside_bytes_that_form_none(source):
    made, _ = source(["é🙂"] * 3 + ["a\tb"], tokenizer="bpe", held_out=0.0)
    vocabulary = json.loads(made.info["tokenizer"])["model"]["vocab"]
    whole, broken = encode_prefix("é🙂", made.info), [vocabulary["ð"], vocabulary["ł"], vocabulary["Ā"]]
    assert decode(torch.tensor([broken + whole + broken]), made.info) == ["é🙂"]
    assert decode(torch.tensor([encode_prefix("a\tb", made.info)]), made.info) == ["a\tb"]


def test_a_word_outside_the_vocabulary_is_shown_as_unknown_and_counts_no_character(source):
    made, _ = source(LINES, held_out=0.0)
    tokens = torch.tensor([[2, *encode_prefix("the dog", made.info), 1, 1]])
    assert decode(tokens, made.info) == ["<unk> the dog"]
    assert characters(tokens, made.info) == [len("the dog")]
    assert characters(tokens, {"eos": None}) == []


def test_two_runs_mean_the_same_by_the_same_numbers_or_it_is_said(source):
    first = source(LINES, held_out=0.0)[0].info
    again = source(LINES, held_out=0.0, max_length=5)[0].info
    other = source([line.replace("dog", "zebra") for line in LINES[::-1]], held_out=0.0)[0].info
    assert DOMAIN.comparable(first, again) == ""
    spaced = {**first, "tokenizer": json.dumps(json.loads(first["tokenizer"]), indent=1)}
    assert DOMAIN.comparable(first, spaced) == ""
    reason = DOMAIN.comparable(first, other)
    assert "\n" not in reason
    assert "(10 of 11 tokens have the same number in both runs" in reason
    assert "--data.tokenizer RUN" in reason
    assert "the tokenizers differ" in DOMAIN.comparable(first, source(LINES, tokenizer="char", held_out=0.0)[0].info)
    numbers = {"vocabulary": 50, "length": 8, "classes": []}
    assert "only numbers" in DOMAIN.comparable(first, numbers)
    assert "only numbers" in DOMAIN.comparable(numbers, first)
    assert DOMAIN.comparable(numbers, {**numbers, "length": 9}) == ""
    assert DOMAIN.comparable(numbers, {**numbers, "vocabulary": 60}) == "one run has 50 tokens and the other 60"


def test_a_damaged_tokenizer_in_a_run_is_said():
    with pytest.raises(DataError, match=r"the tokenizer in the run's data\.json is no tokenizer"):
        decode(torch.zeros(1, 3, dtype=torch.long), {"eos": 1, "tokenizer": "{}"})
