"""BLEU by hand and against NLTK."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from polygan import DataError
from polygan_text import bleu
from polygan_text.bleu import fitting_orders
from polygan_text.scores.words import UNKNOWN


def test_bleu_of_texts_worked_out_by_hand():
    reference = bleu.References([[1, 2, 3, 4, 5]])
    assert reference.bleu([1, 2, 3, 4, 5]) == pytest.approx([1, 1, 1, 1])
    # Precisions 3/5, 2/4, 1/3, 0.1/2 (nothing met), 0.1/1: their geometric means.
    precisions = [3 / 5, 2 / 4, 1 / 3, 0.1 / 2, 0.1 / 1]
    half = [math.prod(precisions[:n]) ** (1 / n) for n in (2, 3, 4, 5)]
    assert reference.bleu([1, 2, 3, 9, 9]) == pytest.approx(half)
    assert reference.bleu([1, 2, 3])[0] == pytest.approx(math.exp(1 - 5 / 3))  # the brevity penalty
    assert reference.bleu([]) == reference.bleu([9, 8]) == [0, 0, 0, 0]


def test_bleu_is_nltk_s():
    """The library counts every reference anew for every text: 20 s instead of 0.1 s for 500 against 500."""
    library = pytest.importorskip("nltk.translate.bleu_score")
    draw, smooth = random.Random(0), library.SmoothingFunction().method1
    weights = [tuple([1 / n] * n) for n in bleu.ORDERS]
    texts, references = ([[draw.randrange(4) for _ in range(draw.randint(1, 9))] for _ in range(12)] for _ in range(2))

    def mean(pairs):
        return np.mean([library.sentence_bleu(r, t, weights, smoothing_function=smooth) for t, r in pairs], axis=0)

    expected = mean([(text, references) for text in texts])
    assert bleu.against(texts, references) == pytest.approx(expected.tolist(), abs=1e-12)
    expected = mean([(text, [*texts[:i], *texts[i + 1 :]]) for i, text in enumerate(texts)])
    assert bleu.against_each_other(texts) == pytest.approx(expected.tolist(), abs=1e-12)


def test_unknown_words_match_nothing_and_count_as_words():
    reference = bleu.References([[1, UNKNOWN, 3, 4]])
    # Of 4 words 3 are met, of 3 pairs "3 4"; the unknown word is as long a word as any.
    assert reference.bleu([1, UNKNOWN, 3, 4])[0] == pytest.approx((3 / 4 * 1 / 3) ** 0.5)
    assert reference.bleu([UNKNOWN, UNKNOWN]) == [0, 0, 0, 0]
    assert bleu.against_each_other([[UNKNOWN, UNKNOWN]] * 3) == [0, 0, 0, 0]


def test_the_error_of_bleu_is_the_error_of_a_mean_over_texts():
    references = bleu.References([[1, 2, 3, 4, 5]])
    texts = [[1, 2, 3, 4, 5], [9, 8, 7, 6, 9]]  # 1 and 0
    values, errors = bleu.against_with_errors(texts, references)
    assert (values, errors) == (pytest.approx([0.5] * 4), pytest.approx([0.5] * 4))
    assert bleu.against_with_errors(texts[:1], references)[1] == [None] * 4
    assert bleu.against_each_other_with_errors(texts * 2)[1] == pytest.approx([0.0] * 4)


@pytest.mark.parametrize(
    ("lengths", "orders", "note"),
    [
        ([9, 9, 9], [2, 3, 4, 5], ""),
        ([4, 4, 9], [2, 3, 4], "; no BLEU-5: half of the real texts have at most 4 words"),
        ([2, 2, 1], [2], "; no BLEU-3: half of the real texts have at most 2 words"),
    ],
)
def test_orders_that_texts_are_too_short_for_are_left_out(lengths, orders, note):
    assert fitting_orders([list(range(n)) for n in lengths]) == (orders, note)


def test_texts_of_one_token_have_no_bleu():
    with pytest.raises(DataError, match="at most 1 word, and BLEU needs 2"):
        fitting_orders([[1], [2], [3, 4]])
