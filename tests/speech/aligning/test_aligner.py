"""The aligner: its prior, padding, silence about clips without text."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn

from polygan_speech.aligning.aligner import Aligner, diagonal


def aligner(speakers=0):
    torch.manual_seed(0)
    return Aligner(partial(nn.Embedding, 9), 6, speakers, nn.Identity(), width=8).double()


def beta_binomial(k, n, alpha, beta):
    """ln of the probability of k of n, as a product of Gamma functions."""
    gamma = math.lgamma
    ways = gamma(n + 1) - gamma(k + 1) - gamma(n - k + 1)
    above = gamma(k + alpha) + gamma(n - k + beta) - gamma(n + alpha + beta)
    return ways + above - gamma(alpha) - gamma(beta) + gamma(alpha + beta)


def test_the_prior_is_the_beta_binomial():
    found = diagonal(torch.tensor([7, 5]), torch.tensor([4, 1]), 8, 6, torch.float64)
    for b, (frames, tokens) in enumerate([(7, 4), (5, 1)]):
        for t in range(frames):
            wanted = [beta_binomial(k, tokens - 1, t + 1, frames - t) for k in range(tokens)]
            assert found[b, t, :tokens].tolist() == pytest.approx(wanted, abs=1e-10)
            assert found[b, t, :tokens].exp().sum().item() == pytest.approx(1)
    assert found.isfinite().all()


def test_a_padded_pair_is_aligned_as_it_is_alone():
    torch.manual_seed(1)
    ids, mel = torch.randint(1, 9, (2, 5)), torch.randn(2, 6, 9, dtype=torch.float64)
    tokens, frames = torch.tensor([5, 3]), torch.tensor([9, 6])
    network = aligner()
    ids[1, 3:], mel[1, :, 6:] = 7, 5.0  # what stands in the padding does not count
    found = network(ids, tokens, mel, frames)
    alone = network(ids[1:, :3], tokens[1:], mel[1:, :, :6], frames[1:])
    assert (found[1, :6, :3] - alone[0]).abs().max() < 1e-12
    assert found[1, :6].exp().sum(1).tolist() == pytest.approx([1.0] * 6)
    assert (found[1, :, 3:] == -torch.inf).all()


def test_gradients_are_finite_also_for_a_clip_without_text():
    network = aligner()
    found = network(
        torch.ones(2, 4, dtype=torch.int64), torch.tensor([4, 0]), torch.randn(2, 6, 5).double(), torch.tensor([5, 0])
    )
    found.gather(2, torch.zeros(2, 5, 1, dtype=torch.int64)).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
