"""Sets that are made up: sentences of the grammar and sequences of the oracle."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from text_files import DOMAIN

from polygan import ConfigError
from polygan.data import build_store, split_store
from polygan_text import datasets, grammar
from polygan_text.data.settings import MadeUpSettings, OracleSettings


def test_the_set_grammar_with_and_without_classes(tmp_path):
    options = MadeUpSettings(source="grammar", size=300, label_column="mood", cache=str(tmp_path))
    made = datasets.grammar(options)
    store = build_store(made, options, progress=False)
    samples = DOMAIN.real(split_store(store, 0.1)["train"], np.arange(50))
    assert all(t.endswith("?") == (c == 1) for t, c in zip(samples.data, samples.labels.tolist(), strict=True))
    assert all(
        grammar.log_likelihood(t, c) > -np.inf for t, c in zip(samples.data, samples.labels.tolist(), strict=True)
    )
    assert datasets.grammar(MadeUpSettings(source="grammar", size=300)).info["classes"] == []
    with pytest.raises(ConfigError, match="the set grammar has no such column; use mood, or nothing"):
        datasets.grammar(MadeUpSettings(label_column="tone"))


def test_the_oracle_s_sequences_are_the_same_each_time_and_its_own(tmp_path):
    from polygan_text.oracle import oracle_of

    options = OracleSettings(source="oracle", size=700, vocabulary=50, max_length=8, cache=str(tmp_path))
    made, again = datasets.oracle(options), datasets.oracle(options)
    rows = np.stack([made.decode(i)["tokens"] for i in range(700)])
    assert np.array_equal(rows[::-1], np.stack([again.decode(i)["tokens"] for i in reversed(range(700))]))
    other = datasets.oracle(OracleSettings(size=700, vocabulary=50, max_length=8, oracle_seed=1))
    assert not np.array_equal(rows[:20], np.stack([other.decode(i)["tokens"] for i in range(20)]))
    oracle = oracle_of(made.info)
    tokens = torch.from_numpy(rows).long()
    nats = -float(oracle.log_probabilities(tokens).mean())
    shuffled = -float(oracle.log_probabilities(tokens[:, torch.randperm(8)]).mean())
    assert nats < shuffled - 0.5
    store = build_store(made, options, progress=False)
    assert np.array_equal(store.gather("tokens", np.arange(700)).numpy(), rows)
