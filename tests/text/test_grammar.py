"""The grammar's sentences are as frequent as their likelihoods say."""

from __future__ import annotations

import numpy as np
import pytest

from polygan_text import grammar


def test_the_grammar_writes_what_it_says_as_often_as_it_says():
    rng = np.random.default_rng(0)
    written = [grammar.write_sentence(rng) for _ in range(3000)]
    values = [grammar.log_likelihood(*w) for w in written]
    assert np.isfinite(values).all()
    words = {text for text, _ in written}
    assert len(words) > 1900
    # The most likely questions: frequency against exp(log-likelihood), within four standard errors.
    for text in ("does the dog sleep?", "where does the dog sleep?"):
        p = np.exp(grammar.log_likelihood(text))
        many = [grammar.write_sentence(rng)[0] for _ in range(20_000)]
        assert abs(many.count(text) / 20_000 - p) < 4 * (p / 20_000) ** 0.5
    for wrong in ("the dog sleep.", "does the dog sleeps?", "the dog", "", "the zebra sleeps."):
        assert grammar.log_likelihood(wrong) == -np.inf
    assert grammar.log_likelihood("does the dog sleep?", 0) == -np.inf


def test_every_rule_s_chances_sum_to_one():
    assert all(sum(p for p, _ in rule) == pytest.approx(1) for rule in grammar.RULES.values())
