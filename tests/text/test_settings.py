"""SeqGAN's settings: the paper's numbers and what is refused."""

from __future__ import annotations

import pytest

from polygan import ConfigError
from polygan_text.residual import Config as Residual
from polygan_text.settings import PRESETS, Config, Sampling


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_impossible_temperatures(temperature):
    with pytest.raises(ConfigError, match=r"temperature = .* use more than 0; 1 is the model's own"):
        Sampling(temperature=temperature)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rollouts": 0}, "model.rollouts = 0 is too small; the least is 1"),
        ({"mle_rate": 2.0}, r"model.mle_rate = 2.0 is outside \(0, 1\]"),
        ({"discriminator_dropout": 1.0}, "model.discriminator_dropout"),
        ({"rollout_lag": 1.5}, "model.rollout_lag"),
        ({"policy": "gpt2", "hidden_dim": 6}, "no multiple of model.heads"),
        ({"discriminator": "rnn"}, "known are cnn, lstm"),
        ({"reward_scale": "log"}, "known are probability, logit"),
        ({"dropout": 1.0}, "model.dropout"),
        ({"rewards": "sparse"}, "known are rollouts, dense"),
        ({"rewards": "dense"}, "cnn does not; add --model.discriminator lstm, or leave --model.rewards out"),
        ({"reward": "none"}, "known are discriminator, constant, random"),
        ({"preset": "papre"}, "known are auto, default, paper"),
    ],
)
def test_impossible_settings(options, message):
    with pytest.raises(ConfigError, match=message):
        Config(**options)


def test_the_paper_s_numbers():
    m = Config(preset="paper").method()
    assert (m.embedding_dim, m.hidden_dim, m.init_std, m.rollouts, m.rollout_lag) == (32, 32, 0.1, 16, 0.8)
    assert (m.mle_rate, m.adversarial_rate, m.discriminator_rate) == (0.01, 0.01, 1e-4)
    assert (m.mle_steps, m.pretrain_steps, m.discriminator_steps, m.l2) == (18_720, 23_400, 2340, 0.2)
    assert [m.baseline, m.teach, m.entropy, m.check_every] == [False, False, 0, 0]
    assert m.summed
    assert sum(maps for _, maps in m.filters) == 1720
    assert Config(preset="paper", rollouts=3).method().rollouts == 3


NUMBERS = {"vocabulary": 5000, "length": 20, "start": 0, "eos": None, "classes": []}
FEW = {**NUMBERS, "vocabulary": 60, "tokenizer": "{}"}
WORDS = {**NUMBERS, "tokenizer": "{}"}


@pytest.mark.parametrize("config", [Config, Residual])
def test_text_of_many_words_has_a_policy_that_suits_it(config):
    m = config().method(WORDS)
    assert (m.embedding_dim, m.hidden_dim, m.tied) == (128, 256, True)
    assert m.dropout > 0
    assert config(hidden_dim=32, dropout=0.0, tied=False).method(WORDS).hidden_dim == 32
    for info in (NUMBERS, FEW, None):
        m = config().method(info)
        assert (m.embedding_dim, m.hidden_dim, m.dropout, m.tied, m.mle_rate) == (64, 128, 0.0, False, 2e-3)
    assert config(policy="gpt2", dropout=0.1).method(WORDS).hidden_dim == 128


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_the_numbers_of_earlier_versions_hold_for_all_data(preset):
    assert Config(preset=preset).method(WORDS) == PRESETS[preset]
    assert (PRESETS[preset].dropout, PRESETS[preset].tied) == (0.0, False)


def test_the_rate_of_maximum_likelihood_falls_until_the_game_begins():
    m = Config(mle_steps=100).method(WORDS)
    assert m.share_of_rate(0) == 1
    assert m.share_of_rate(50) == pytest.approx((1 + m.mle_end) / 2)
    assert m.share_of_rate(100) == m.adversarial_rate / m.mle_rate
    assert m.mle_end < 1
    for preset in ("default", "paper"):
        m = Config(preset=preset, mle_steps=100).method(WORDS)
        assert [m.share_of_rate(n) for n in (0, 99, 100)] == [1, 1, m.adversarial_rate / m.mle_rate]
