"""Policies: samplers against teacher forcing, temperature."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_policies import policies

from polygan_text.policy import LSTMPolicy, Policy, TransformerPolicy, without_dropout
from polygan_text.rollout import Shape, sample


@pytest.mark.parametrize("name", ["lstm", "deep", "tied", "narrow", "gpt2"])
@pytest.mark.parametrize("classes", [0, 3])
def test_the_sampler_s_logits_are_those_of_teacher_forcing(name, classes):
    policy = policies(classes)[name]
    tokens = torch.randint(11, (6, 9))
    labels = torch.arange(6) % 3 if classes else None
    sampler = policy.sampler()
    with torch.no_grad():
        expected, state = policy(tokens, labels), sampler.start(6, labels)
        for t in range(9):
            torch.testing.assert_close(sampler.logits(state), expected[:, t], rtol=1e-4, atol=1e-5)
            if t < 8:
                state = sampler.advance(state, tokens[:, t])
    if classes:  # and a class makes a difference
        other = policy(tokens, (labels + 1) % 3)
        assert (other - expected).abs().max() > 1e-3


def test_temperature_sharpens_samples_and_likelihoods_alike():
    policy = policies()["lstm"]
    every = torch.arange(11)[:, None]
    with torch.no_grad():
        cold = policy.log_probabilities(every, temperature=0.5)[:, 0].exp()
        expected = (policy(every)[0, 0] / 0.5).softmax(0)
    torch.testing.assert_close(cold, expected)
    drawn = sample(policy, torch.rand(20_000, 1, 2), shape=Shape(temperature=0.5))
    torch.testing.assert_close(torch.bincount(drawn[:, 0], minlength=11) / 20_000, expected, atol=0.02, rtol=0)


def test_a_policy_says_what_it_lacks():
    with pytest.raises(NotImplementedError):
        Policy()(torch.zeros(1, 1, dtype=torch.long))


def dropping():
    torch.manual_seed(0)
    return {
        "lstm": LSTMPolicy(11, 5, 7, layers=2, dropout=0.5, init_std=1.0),
        "tied": LSTMPolicy(11, 5, 7, dropout=0.5, tied=True, init_std=1.0),
        "gpt2": TransformerPolicy(11, 9, 8, dropout=0.5),
    }


@pytest.mark.parametrize("name", ["lstm", "tied", "gpt2"])
def test_dropout_is_of_training_alone_and_never_of_samples(name):
    policy, uniform = dropping()[name], torch.rand(64, 9, 2)
    tokens = torch.randint(11, (6, 9))
    assert not torch.equal(policy(tokens), policy(tokens))
    with without_dropout(policy):
        quiet = policy(tokens)
        assert torch.equal(quiet, policy(tokens))
    assert all(module.training for module in policy.modules())
    assert not torch.equal(policy(tokens), policy(tokens))  # it is back
    drawn = sample(policy, uniform)
    assert torch.equal(drawn, sample(policy.eval(), uniform))
    torch.testing.assert_close(policy(tokens), quiet)


@pytest.mark.parametrize("layers", [1, 2])
def test_dropout_keeps_the_mean_of_what_it_drops_and_reaches_every_place(layers):
    torch.manual_seed(0)
    policy = LSTMPolicy(11, 5, 7, layers=layers, dropout=0.5)
    seen = {"embedding": [], "head": []}
    policy.lstm.register_forward_pre_hook(lambda _, given: seen["embedding"].append(given[0]))
    policy.head.register_forward_pre_hook(lambda _, given: seen["head"].append(given[0]))
    policy(torch.randint(11, (100, 9)))
    for found in seen.values():
        assert 0.45 < (found[0] == 0).float().mean() < 0.55
    assert policy.lstm.dropout == (0.5 if layers > 1 else 0)


def test_tied_weights_are_one_matrix():
    for width, more in ((7, 0), (5, 35)):
        tied, plain = LSTMPolicy(11, width, 7, tied=True), LSTMPolicy(11, width, 7)
        saved = sum(p.numel() for p in plain.parameters()) - sum(p.numel() for p in tied.parameters())
        assert saved == 11 * 7 - more
        tied(torch.zeros(1, 1, dtype=torch.long))[0, 0, 3].backward()
        assert tied.embedding.weight.grad[3].abs().sum() > 0  # the row of the token that the logit is of
        assert len(tied.state_dict()) == len(list(tied.parameters()))
