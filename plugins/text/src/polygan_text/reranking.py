"""The discriminator at sampling: each text is one of several texts of the policy, chosen by how real it looks.

A discriminator that is trained against a fixed policy p has logits near log p_real / p (Goodfellow et al. 2014, proposition 1), so the
choice by weights e^logit moves the texts towards p_real: the residual model of Deng et al. 2020 (arXiv:2004.11714, section 3.4).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch

from .categorical import draw
from .data.facts import TEXTS
from .rollout import Shape, sample, valid

if TYPE_CHECKING:
    from torch import Tensor

    from .policy import Policy

POOL = 4096
"""Texts of the policy whose weights stand for the weights of all its texts, where a likelihood is computed."""
_DRAWS = 2000  # sums of weights that an expectation is the mean of


class Judge(Protocol):
    """A discriminator."""

    def score(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n,) of tokens (n, L), without dropout and gradients."""
        ...


@torch.no_grad()
def log_weights(
    policy: Policy, judge: Judge, tokens: Tensor, labels: Tensor | None, eos: int | None, temperature: float = 1.0
) -> Tensor:
    """(n,) logarithms of the weights of texts (n, L) that were drawn at ``temperature``.

    A weight is e^logit, times the ratio of the densities at temperature 1 and at this temperature: wherever the texts come from, the
    choice is then among texts as at temperature 1. Tokens that top_k and top_p left out stay left out.
    """
    found = judge.score(tokens, labels).float()
    if temperature != 1:
        mask = valid(tokens, eos)
        plain, own = (policy.log_probabilities(tokens, labels, t) for t in (1.0, temperature))
        found = found + ((plain - own) * mask).sum(1)
    return found


def choose(weights: Tensor, uniform: Tensor | None) -> Tensor:
    """(n,) one of K texts in each row of log weights (n, K): drawn by weight with ``uniform`` (n, 2), or the best without."""
    if uniform is None:
        return weights.argmax(1)
    return draw(weights.softmax(1), uniform)


def log_ratio(weights: Tensor, pool: Tensor, k: int) -> Tensor:
    """(n,) log q_K(x) / p(x) of texts with log weights (n,), where q_K is the policy p with one of ``k`` texts chosen by weight.

    q_K(x) = p(x) K w(x) E[1 / (w(x) + S)], where S is the sum of the weights of K - 1 other texts. The expectation is the mean over
    2,000 sums of weights from ``pool`` (m,), the log weights of texts of the policy.
    """
    if k == 1:
        return torch.zeros_like(weights, dtype=torch.float64)
    chosen = torch.randint(len(pool), (_DRAWS, k - 1), generator=torch.Generator().manual_seed(0))
    sums = pool.double().cpu()[chosen].logsumexp(1)  # (draws,)
    own = weights.double().cpu()
    inverse = torch.cat([(-torch.logaddexp(piece[:, None], sums)).logsumexp(1) for piece in own.split(256)])
    return math.log(k) + own + inverse - math.log(_DRAWS)


@torch.no_grad()
def chosen_log_ratio(
    policy: Policy,
    judge: Judge,
    tokens: Tensor,
    labels: Tensor | None,
    *,
    copies: int,
    classes: int,
    eos: int | None,
    temperature: float = 1.0,
) -> Tensor:
    """(n,) nats by which the choice among ``copies`` texts makes texts (n, L) likelier than the policy at ``temperature`` does.

    The pool has 4,096 texts of the policy by a fixed seed, of the classes in turn: weights of other classes are taken for alike.
    """
    device = next(policy.parameters()).device
    numbers = torch.Generator().manual_seed(0)
    found = []
    for begin in range(0, POOL, TEXTS):
        told = (torch.arange(begin, begin + TEXTS) % classes).to(device) if classes else None
        uniform = torch.rand(TEXTS, tokens.shape[1], 2, generator=numbers).to(device)
        texts = sample(policy, uniform, eos=eos, labels=told, shape=Shape(temperature))
        found.append(log_weights(policy, judge, texts, told, eos, temperature).cpu())
    own = []
    for begin in range(0, len(tokens), TEXTS):
        rows = slice(begin, begin + TEXTS)
        told = labels[rows].to(device) if classes and labels is not None else None
        own.append(log_weights(policy, judge, tokens[rows].to(device), told, eos, temperature).cpu())
    return log_ratio(torch.cat(own), torch.cat(found), copies)
