"""The rollout engine: samples against probabilities, completions against plain replay."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_policies import policies

from polygan.seeding import Noise
from polygan_text.data.facts import OPEN
from polygan_text.policy import LSTMPolicy, TransformerPolicy
from polygan_text.rollout import Shape, next_tokens, prefix_lengths, roll_out, sample, shaped, valid


@pytest.mark.parametrize("name", ["lstm", "gpt2"])
def test_samples_follow_the_policy_s_own_probabilities(name):
    """Every sequence of 3 tokens of 4: frequencies against exp(log_probabilities)."""
    torch.manual_seed(1)
    policy = LSTMPolicy(4, 3, 5, init_std=1.0) if name == "lstm" else TransformerPolicy(4, 3, 8)
    policy.eval()
    n = 40_000
    drawn = sample(policy, torch.rand(n, 3, 2))
    codes = torch.bincount(drawn @ torch.tensor([16, 4, 1]), minlength=64)
    every = torch.cartesian_prod(*[torch.arange(4)] * 3)
    with torch.no_grad():
        p = policy.log_probabilities(every).sum(1).exp()
    assert p.sum() == pytest.approx(1, abs=1e-5)
    error = (codes / n - p) / (p * (1 - p) / n).sqrt()
    assert error.abs().max() < 4.5


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Shape(), [0.4, 0.3, 0.2, 0.1]),
        (Shape(temperature=0.5), [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        (Shape(top_k=2), [4 / 7, 3 / 7, 0, 0]),
        (Shape(top_k=4), [0.4, 0.3, 0.2, 0.1]),
        (Shape(top_k=9), [0.4, 0.3, 0.2, 0.1]),
        (Shape(top_p=0.39), [0.4, 0, 0, 0]),
        (Shape(top_p=0.41), [0.4, 0.3, 0, 0]),
        (Shape(top_p=0.75), [0.4, 0.3, 0.2, 0]),
        (Shape(top_p=1e-9), [0.4, 0, 0, 0]),
        (Shape(banned=0), [0, 3 / 6, 2 / 6, 1 / 6]),
        (Shape(banned=0, top_k=1), [0, 1, 0, 0]),
        (Shape(banned=0, top_p=0.6), [0, 3 / 6, 2 / 6, 0]),
    ],
)
def test_the_next_token_s_distribution_is_cut_as_asked(shape, expected):
    """The tokens lie in another order in the vocabulary; weights of `draw` need not sum to 1."""
    order = torch.tensor([2, 0, 3, 1])
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()[:, order].expand(3, 4)
    banned = None if shape.banned is None else int((order == shape.banned).nonzero())
    found = shaped(logits, shape._replace(banned=banned))
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32)[order].expand(3, 4))


def replayed(policy, tokens, n, noise, eos, labels):
    """The same completions in the plain way: each prefix read again, with the numbers that the engine draws."""
    size, length = tokens.shape
    numbers = {t: noise.uniform(size, t * n, 2) for t in range(1, length)}
    out = torch.empty(length - 1, n, size, length, dtype=torch.long)
    for k in range(length - 1):
        for j in range(n):
            u = torch.zeros(size, length, 2)
            for t in range(k + 1, length):
                u[:, t] = numbers[t][:, k * n + j]
            for b in range(size):
                label = None if labels is None else labels[b : b + 1]
                out[k, j, b] = sample(policy, u[b : b + 1], eos=eos, labels=label, prefix=tokens[b : b + 1, : k + 1])[0]
    return out


@pytest.mark.parametrize("name", ["lstm", "deep", "narrow", "gpt2"])
@pytest.mark.parametrize(("eos", "classes"), [(None, 0), (1, 3)])
def test_one_growing_batch_equals_a_replay_of_every_prefix(name, eos, classes):
    policy = policies(classes)[name]
    labels = torch.tensor([0, 2, 1]) if classes else None
    tokens = sample(policy, torch.rand(3, 6, 2, generator=torch.Generator().manual_seed(5)), eos=eos, labels=labels)
    got = roll_out(policy, tokens, 4, Noise().reset(7), eos=eos, labels=labels)
    assert torch.equal(got, replayed(policy, tokens, 4, Noise().reset(7), eos, labels))
    assert len(got.flatten(0, 2).unique(dim=0)) > 20  # they differ


def test_no_state_is_advanced_twice():
    """B sequences of L tokens and n copies: n * (L - 1) * (L - 2) / 2 + (L - 1) steps of a sequence, and the start."""

    class Counting(LSTMPolicy):
        def sampler(self):
            inner, counted = super().sampler(), self

            class Spy:
                start, logits = staticmethod(inner.start), staticmethod(inner.logits)

                def advance(self, state, tokens):
                    counted.steps += len(tokens)
                    return inner.advance(state, tokens)

            return Spy()

    policy = Counting(11, 5, 7)
    policy.steps = 0
    roll_out(policy, torch.randint(11, (2, 8)), 3, Noise().reset(0))
    assert policy.steps == 2 * (3 * 7 * 6 // 2 + 7)


def test_after_the_end_comes_nothing_else():
    policy = policies()["lstm"]
    tokens = sample(policy, torch.rand(200, 9, 2), eos=1)
    mask = valid(tokens, 1)
    ended = (tokens == 1).any(1)
    assert ended.any()
    assert (tokens[mask == 0] == 1).all()
    first = mask.sum(1).long() - 1
    assert (tokens[ended].gather(1, first[ended, None]) == 1).all()
    assert ((tokens == 1) & (mask == 1)).sum(1).max() == 1
    assert torch.equal(valid(tokens, None), torch.ones(200, 9))


def test_completions_do_not_depend_on_the_number_of_processes():
    policy = policies()["lstm"]
    tokens = torch.randint(11, (4, 6))
    whole = roll_out(policy, tokens, 2, Noise().reset(3))
    for part in (0, 1):
        share = roll_out(policy, tokens[2 * part : 2 * part + 2], 2, Noise().reset(3, part=part, parts=2))
        assert torch.equal(share, whole[:, :, 2 * part : 2 * part + 2])


def counted(policy):
    """The policy, and a list of how many sequences each step advanced."""
    steps, make = [], policy.sampler

    class Spy:
        def __init__(self):
            self.inner = make()
            self.start, self.logits = self.inner.start, self.inner.logits

        def advance(self, state, tokens):
            steps.append(len(tokens))
            return self.inner.advance(state, tokens)

    policy.sampler = Spy
    return policy, steps


def in_full(policy, uniform, eos):
    """Every sequence to its last place, also after its end."""
    tokens = torch.full(uniform.shape[:2], eos)
    with torch.no_grad():
        sampler = policy.sampler()
        state = sampler.start(len(tokens))
        for t in range(tokens.shape[1]):
            drawn = next_tokens(sampler, state, uniform[:, t])
            ended = (tokens[:, :t] == eos).any(1)
            tokens[:, t] = torch.where(ended, eos, drawn)
            state = sampler.advance(state, tokens[:, t]) if t + 1 < tokens.shape[1] else state
    return tokens


@pytest.mark.parametrize("name", ["lstm", "gpt2"])
def test_sequences_that_have_ended_take_no_steps_and_change_no_text(name):
    policy, steps = counted(policies()[name])
    uniform = torch.rand(64, 9, 2, generator=torch.Generator().manual_seed(0))
    expected = in_full(policy, uniform, 1)
    assert sum(steps) == 64 * 8
    steps.clear()
    tokens = sample(policy, uniform, eos=1)
    assert torch.equal(tokens, expected)
    going = [int((tokens[:, t] != 1).sum()) for t in range(8)]  # after each token
    assert sum(going) <= sum(steps) <= sum(going) / 0.75 + 64
    assert sum(steps) < 0.8 * 64 * 8
    steps.clear()
    roll_out(policy, tokens, 3, Noise().reset(0), eos=1)
    assert sum(steps) < 0.8 * 64 * (3 * 8 * 7 / 2 + 8)


@pytest.mark.parametrize("name", ["lstm", "gpt2"])
def test_completions_are_the_same_in_groups_of_prefixes(name, monkeypatch):
    policy = policies()[name]
    tokens = sample(policy, torch.rand(5, 9, 2, generator=torch.Generator().manual_seed(0)), eos=1)
    expected = roll_out(policy, tokens, 3, Noise().reset(1), eos=1)
    policy, steps = counted(policy)
    monkeypatch.setattr("polygan_text.rollout.TOKENS", 2 * 3 * 5 * 9)  # of two prefixes
    assert torch.equal(roll_out(policy, tokens, 3, Noise().reset(1), eos=1), expected)
    assert max(steps) <= 2 * 3 * 5


@pytest.mark.parametrize("eos", [None, 1])
def test_completions_of_every_third_prefix_that_are_cut_after_two_tokens(eos):
    policy = policies()["lstm"]
    tokens = sample(policy, torch.rand(40, 9, 2, generator=torch.Generator().manual_seed(0)), eos=eos)
    whole = roll_out(policy, tokens, 2, Noise().reset(1), eos=eos, every=3)
    assert prefix_lengths(9, 3) == [3, 6]
    assert whole.shape == (2, 2, 40, 9)
    policy, steps = counted(policy)
    cut = roll_out(policy, tokens, 2, Noise().reset(1), eos=eos, every=3, cut=2)
    for k, length in enumerate((3, 6)):
        assert torch.equal(whole[k, ..., :length], tokens[:, :length].expand(2, -1, -1))
        assert torch.equal(cut[k, ..., : length + 2], whole[k, ..., : length + 2])
        ended = (whole[k, ..., : length + 2] == eos).any(2) if eos else torch.zeros(2, 40, dtype=torch.bool)
        rest = cut[k, ..., length + 2 :]
        assert (rest[ended] == eos).all() if eos else True
        assert (rest[~ended] == OPEN).all()
        assert not (whole[k] == OPEN).any()
    assert sum(steps) <= 40 * (6 + 2 * 2 * 2)


def test_texts_that_have_all_ended_are_their_own_completions():
    policy, steps = counted(policies()["lstm"])
    tokens = torch.tensor([[5, 1, 1, 1], [1, 1, 1, 1]])
    assert (roll_out(policy, tokens, 2, Noise().reset(0), eos=1)[1:] == tokens).all()
    assert max(steps) <= 4
    assert torch.equal(roll_out(policy, tokens[1:], 2, Noise().reset(0), eos=1), tokens[1:].expand(3, 2, 1, 4))
