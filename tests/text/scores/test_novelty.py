"""Novelty: counted by hand, against the training texts and against each text's own source."""

from __future__ import annotations

import numpy as np
import pytest
from toy_evaluations import written

from polygan import DataError
from polygan_text.scores import novelty
from polygan_text.scores.novelty import Known, in_source
from polygan_text.scores.words import UNKNOWN

TRAIN = ["a cat sees a dog", "a dog sees a cat", "the dog sees the cat"] * 2


def test_new_n_grams_are_counted_by_hand():
    known = Known([["a", "b", "c"], [], ["d", "e"]])
    texts = [["a", "b", "d"], ["b", "c", "d", "e"], ["c", "d"], [], ["x"]]
    new, counts = known.share(texts, 1)
    assert (new.tolist(), counts.tolist()) == ([0, 0, 0, 0, 1], [3, 4, 2, 0, 1])
    new, counts = known.share(texts, 2)  # "c d" spans two known texts, so that no text has it
    assert (new.tolist(), counts.tolist()) == ([1, 1, 1, 0, 0], [2, 3, 1, 0, 0])
    new, counts = known.share(texts, 3)
    assert (new.tolist(), counts.tolist()) == ([1, 2, 0, 0, 0], [1, 2, 0, 0, 0])


def test_n_grams_with_unknown_words_count_on_neither_side():
    known = Known([["a", UNKNOWN, "b"], ["a", "b"]])
    new, counts = known.share([["a", UNKNOWN, "b"], ["b", "a"]], 2)
    assert (new.tolist(), counts.tolist()) == ([0, 1], [0, 1])
    assert [x.tolist() for x in in_source([["a", UNKNOWN, "b", "a"]], [["a", UNKNOWN]], 2)] == [[1], [1]]


def test_known_texts_that_do_not_fit_in_memory_at_once_are_searched_in_pieces(monkeypatch):
    draw = np.random.default_rng(0)
    texts = [draw.integers(9, size=draw.integers(0, 7)).tolist() for _ in range(50)]
    known, asked = Known(texts[:40]), texts[40:] + texts[:5]
    whole = [known.share(asked, n) for n in (1, 2, 3, 4)]
    monkeypatch.setattr(novelty, "_ROWS", 3)
    pieces = [known.share(asked, n) for n in (1, 2, 3, 4)]
    assert [[x.tolist() for x in s] for s in pieces] == [[x.tolist() for x in s] for s in whole]
    sets = {tuple(t[i : i + 3]) for t in texts[:40] for i in range(len(t) - 2)}
    expected = [sum(tuple(t[i : i + 3]) not in sets for i in range(len(t) - 2)) for t in asked]
    assert whole[2][0].tolist() == expected


def test_a_generator_that_copies_has_no_novelty_and_one_that_shuffles_has_more_than_held_out_texts(tmp_path):
    held_out = ["a cat sees the dog", "the dog sees a cat"]
    copies = novelty.novelty(written(tmp_path, TRAIN, held_out, TRAIN[:4]))
    assert [s.name for s in copies] == ["text/novelty-4"]
    assert copies[0].value == 0
    # Held-out 4-grams: "a cat sees the", "cat sees the dog", "the dog sees a" are new, "dog sees a cat" is not.
    assert copies[0].floor == pytest.approx(3 / 4)
    assert copies[0].better == "near"
    assert "1-grams 0 (floor 0)" in copies[0].note
    assert "no training text (6) has, by words" in copies[0].note
    (tmp_path / "noise").mkdir()
    noise = novelty.novelty(written(tmp_path / "noise", TRAIN, held_out, ["dog the a sees cat", "cat dog the a sees"]))
    assert noise[0].value == 1
    assert noise[0].error == 0


def test_texts_of_one_word_have_novelty_of_words(tmp_path):
    e = written(tmp_path, ["cat", "dog"] * 3, ["cat", "dog"], ["dog"] * 5)
    (score,) = novelty.novelty(e)
    assert (score.name, score.value, score.floor) == ("text/novelty-1", 0, 0)


def test_generated_texts_without_an_n_gram_are_told(tmp_path):
    with pytest.raises(DataError, match="none of 3 generated texts has 4 known words"):
        novelty.novelty(written(tmp_path, TRAIN, TRAIN[:2], ["a cat", "a", ""]))


def test_pairs_are_compared_with_their_own_source(tmp_path):
    sources, truths = ["the dog sees a cat here", "a cat"], ["the dog sees a dog", "the dog sees a cat"]
    e = written(tmp_path, TRAIN, TRAIN[:2], ["the dog sees a cat", "a cat sees a dog"], sources=sources, truths=truths)
    scores = {s.name: s for s in novelty.novelty(e)}
    # The first text copies its source; the second text's source is too short for its 4-grams.
    assert scores["text/novelty-source-4"].value == pytest.approx(2 / 4)
    assert scores["text/novelty-source-4"].floor == pytest.approx(3 / 4)
    assert "1-grams 0.2 (floor 0.3)" in scores["text/novelty-source-4"].note  # sees and dog; the, dog and sees
