"""Policies and the rollout engine: against teacher forcing, against plain replay, against the oracle's published numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from polygan.seeding import Noise
from polygan_text.oracle import load_oracle
from polygan_text.policy import LSTMPolicy, Policy, TransformerPolicy
from polygan_text.rollout import roll_out, sample, valid


def policies(classes=0):
    torch.manual_seed(0)
    made = {
        "lstm": LSTMPolicy(11, 5, 7, classes=classes, init_std=1.0),
        "deep": LSTMPolicy(11, 5, 7, layers=2, classes=classes, init_std=1.0),
        "gpt2": TransformerPolicy(11, 9, 8, classes=classes),
    }
    for parameter in made["gpt2"].parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return {name: policy.eval() for name, policy in made.items()}


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


def test_temperature_sharpens_samples_and_likelihoods_alike():
    policy = policies()["lstm"]
    every = torch.arange(11)[:, None]
    with torch.no_grad():
        cold = policy.log_probabilities(every, temperature=0.5)[:, 0].exp()
        expected = (policy(every)[0, 0] / 0.5).softmax(0)
    torch.testing.assert_close(cold, expected)
    drawn = sample(policy, torch.rand(20_000, 1, 2), temperature=0.5)
    torch.testing.assert_close(torch.bincount(drawn[:, 0], minlength=11) / 20_000, expected, atol=0.02, rtol=0)


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


@pytest.mark.parametrize("name", ["lstm", "deep", "gpt2"])
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


def test_a_policy_says_what_it_lacks():
    with pytest.raises(NotImplementedError):
        Policy()(torch.zeros(1, 1, dtype=torch.long))


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_the_oracle_follows_the_equations_of_its_cell(tmp_path):
    """Likelihoods of a small oracle, computed in NumPy gate by gate: i, f, g, o; start token 0; zero state."""
    rng, vocabulary, width = np.random.default_rng(0), 50, 6
    sizes = {
        "emb.weight": (vocabulary, width),
        "lstm.weight_ih_l0": (4 * width, width),
        "lstm.weight_hh_l0": (4 * width, width),
    }
    sizes |= {"lstm.bias_ih_l0": (4 * width,), "lstm.bias_hh_l0": (4 * width,)}
    sizes |= {"out.weight": (vocabulary, width), "out.bias": (vocabulary,)}
    p = {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    save_file({name: torch.from_numpy(value) for name, value in p.items()}, tmp_path / "oracle.safetensors")
    tokens = rng.integers(vocabulary, size=(7, 9))
    expected, x = np.zeros(tokens.shape), np.zeros(7, int)
    h = c = np.zeros((7, width))
    for t in range(tokens.shape[1]):
        gates = p["emb.weight"][x] @ p["lstm.weight_ih_l0"].T + p["lstm.bias_ih_l0"]
        i, f, g, o = np.split(gates + h @ p["lstm.weight_hh_l0"].T + p["lstm.bias_hh_l0"], 4, axis=1)
        c = logistic(f) * c + logistic(i) * np.tanh(g)
        h = logistic(o) * np.tanh(c)
        logits = h @ p["out.weight"].T + p["out.bias"]
        x = tokens[:, t]
        expected[:, t] = np.log(np.exp(logits).sum(1)) - logits[np.arange(7), x]
    got = -load_oracle(tmp_path / "oracle.safetensors").log_probabilities(torch.from_numpy(tokens))
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.fixture
def published(shared_data):
    """The authors' oracle and its numbers, which have no licence known to us and are no part of the project."""
    return shared_data("../golden/seqgan-oracle")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uniform", "oracle"])
def test_the_published_oracle_gives_the_published_likelihoods(kind, published):
    oracle, golden = load_oracle(published / "oracle.safetensors"), load_file(published / "nll.safetensors")
    tokens = golden[f"{kind}_tokens"].long()
    got = -oracle.log_probabilities(tokens)
    torch.testing.assert_close(got, golden[f"{kind}_nll"], rtol=1e-4, atol=1e-4)
    assert float(got.mean()) == pytest.approx({"uniform": 11.455, "oracle": 5.763}[kind], abs=1e-3)


@pytest.mark.slow
def test_the_oracle_s_own_samples_score_its_entropy(published):
    oracle = load_oracle(published / "oracle.safetensors")
    tokens = sample(oracle, torch.rand(3000, 20, 2, generator=torch.Generator().manual_seed(0)))
    assert -float(oracle.log_probabilities(tokens).mean()) == pytest.approx(5.757, abs=0.04)
