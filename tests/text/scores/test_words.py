"""Words of texts: one rule for every tokenizer and every script, and unknown words that match nothing."""

from __future__ import annotations

import pytest
import torch
from toy_evaluations import written

from polygan import Samples
from polygan_text import metrics
from polygan_text.scores.words import UNKNOWN, cut, first_words, unit, words_of

TRAIN = ["a cat sleeps.", "a dog, too, sleeps.", "the cat barks!", "the dog sleeps."] * 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a cat, isn't it?  Yes.", ["a", "cat", ",", "isn", "'", "t", "it", "?", "Yes", "."]),
        ("שָׁלוֹם עולם", ["שָׁלוֹם", "עולם"]),  # right to left, with vowel points
        ("مُحَمَّد قال", ["مُحَمَّد", "قال"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("cafe\u0301 au lait", ["cafe\u0301", "au", "lait"]),
        ("می\u200cروم 👨‍👩‍👧", ["می\u200cروم", "👨‍👩‍👧"]),  # joiners of width 0
        ("春眠，abc สวัสดี", ["春", "眠", "，", "abc", "ส", "วั", "ส", "ดี"]),
        (" \n\t", []),
    ],
)
def test_texts_are_cut_into_words_and_marks(text, words):
    assert cut(text) == words


def test_the_first_words_of_a_text_keep_its_spaces_and_marks():
    assert first_words("Two dogs,  one cat", 3) == "Two dogs,"
    assert first_words("שָׁלוֹם עולם", 1) == "שָׁלוֹם"
    assert first_words("one", 5) == "one"
    assert first_words(" ", 2) == ""


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_every_tokenizer_gives_the_same_words_and_the_same_bleu(tmp_path, tokenizer):
    made = ["a cat sleeps.", "the dog, too, barks!"] * 3
    e = written(tmp_path, TRAIN, TRAIN[:4], made, tokenizer=tokenizer)
    assert words_of(e.generate(2, 0), e.info) == [cut(text) for text in made[:2]]
    scores = {s.name: s for s in metrics.bleu(e) + metrics.self_bleu(e)}
    # The first text is a held-out text. The second has 7 of 7 words and, without ", barks", 5 of 6 pairs.
    assert scores["text/bleu-2"].value == pytest.approx((1 + (5 / 6) ** 0.5) / 2)
    assert all("by words" in s.note for s in scores.values())


def test_a_word_with_an_unknown_part_is_unknown(tmp_path):
    e = written(tmp_path, TRAIN, TRAIN[:2], ["a cäz sleeps", "a zebra sleeps"], tokenizer="char")
    assert words_of(e.generate(2, 0), e.info) == [["a", UNKNOWN, "sleeps"], ["a", UNKNOWN, "sleeps"]]
    (tmp_path / "words").mkdir()
    e = written(tmp_path / "words", TRAIN, TRAIN[:2], ["a zebra sleeps", "<unk> a"])
    found = words_of(e.generate(2, 0), e.info)
    assert found[0] == ["a", UNKNOWN, "sleeps"]
    assert found[1][-1] == "a"


def test_the_name_of_the_unknown_token_in_a_text_is_text(tmp_path):
    e = written(tmp_path, ["a <unk> cat", "a dog"] * 3, ["a cat", "a dog"], ["a <unk> cat"])
    assert words_of(e.generate(1, 0), e.info) == [["a", "<", "unk", ">", "cat"]]


def test_data_without_words_is_compared_by_tokens():
    info = {"vocabulary": 9, "length": 4, "start": 0, "eos": None, "classes": []}
    tokens = torch.tensor([[3, 1, 2, 4]])
    assert words_of(Samples(["3 1 2 4"], extra={"tokens": tokens}), info) == [[3, 1, 2, 4]]
    assert words_of(Samples(["3"], extra={"tokens": tokens}), {**info, "eos": 1}) == [[3]]
    assert unit(info) == "tokens"
