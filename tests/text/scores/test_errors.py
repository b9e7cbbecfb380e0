"""Standard errors: by hand, and as wide as the spread of repeated draws."""

from __future__ import annotations

import numpy as np
import pytest

from polygan_text import bleu
from polygan_text.scores.errors import jackknife, of_mean, of_ratio


def test_errors_of_means_and_ratios_by_hand():
    assert of_mean([1.0, 3.0]) == pytest.approx(1.0)  # deviation sqrt(2), over sqrt(2)
    # Ratio 8 / 4 = 2; what is left is 2 - 2, 6 - 6 = 0 and then 1 - 2, 7 - 6.
    assert of_ratio([2, 6], [1, 3]) == 0
    assert of_ratio([1, 7], [1, 3]) == pytest.approx((2 / 1 * (1 + 1)) ** 0.5 / 4)


def test_too_few_values_have_no_error():
    assert of_mean([1.0]) is None
    assert of_ratio([1.0], [1.0]) is None
    assert of_ratio([0.0, 0.0], [0, 0]) is None
    assert jackknife([1.0, 2.0, 3.0], lambda x: [sum(x), len(x)]) == [None, None]


def test_the_jackknife_of_a_mean_is_the_error_of_the_mean():
    """With a group for each value the two are the same number."""
    values = [0.3, 1.2, 0.1, 0.9, 1.4, 0.2]
    assert jackknife(values, lambda x: [sum(x) / len(x)]) == pytest.approx([of_mean(values)])


def test_the_errors_of_bleu_and_self_bleu_are_the_spread_of_repeated_draws():
    draw = np.random.default_rng(0)
    likely = draw.dirichlet(np.ones(12), size=12)  # a chain of words

    def texts(n):
        found = []
        for _ in range(n):
            text = [int(draw.integers(12))]
            while len(text) < 8:
                text.append(int(draw.choice(12, p=likely[text[-1]])))
            found.append(text)
        return found

    references = bleu.References(texts(60))
    for measure in (bleu.against_each_other_with_errors, lambda t: bleu.against_with_errors(t, references)):
        scores = [measure(texts(40)) for _ in range(30)]
        spread = np.std([values[1] for values, _ in scores], ddof=1)
        error = np.mean([errors[1] for _, errors in scores])
        assert 0.7 < error / spread < 1.6
