"""Policies: samplers against teacher forcing, temperature."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_policies import policies

from polygan_text.policy import Policy
from polygan_text.rollout import Shape, sample


@pytest.mark.parametrize("name", ["lstm", "deep", "gpt2"])
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
