"""Texts of LeakGAN's generator with their features, and the values of their prefixes by completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from ..policy import join, repeat
from ..rollout import Shape, _ended, next_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from polygan import Noise

    from ..policy import State
    from .policy import LeakPolicy
    from .sampler import LeakSampler


class Written(NamedTuple):
    """Texts and what was learned while they were written."""

    tokens: Tensor
    """(n, L)."""
    features: Tensor
    """(n, L + 1, width): the discriminator's features of every prefix, the empty one first."""
    marks: dict[int, State]
    """The sampler's state after each prefix that is to be completed, by its number of tokens."""


@torch.no_grad()
def write(
    sampler: LeakSampler, uniform: Tensor, every: int, *, eos: int | None = None, temperature: float = 1.0
) -> Written:
    """Texts from ``uniform`` (n, L, 2) in [0, 1), with marks after ``every``, 2 ``every``, ... tokens.

    After the first ``eos`` every token is ``eos``.
    """
    n, length, _ = uniform.shape
    state, features = sampler.begin(n)
    tokens = torch.zeros(n, length, dtype=torch.long, device=uniform.device)
    seen, marks = [features], {}
    for t in range(length):
        if t and t % every == 0:
            marks[t] = state
        tokens[:, t] = _ended(
            tokens[:, t - 1] if t else None, next_tokens(sampler, state, uniform[:, t], Shape(temperature)), eos
        )
        state, features = sampler.step(state, tokens[:, t], read=True)
        seen.append(features)
    return Written(tokens, torch.stack(seen, 1), marks)


@torch.no_grad()
def completions(
    sampler: LeakSampler,
    written: Written,
    copies: int,
    noise: Noise,
    *,
    eos: int | None = None,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Completions (K, copies, n, L) of each marked prefix, and their features (K, copies, n, width).

    All prefixes are completed together: where a prefix ends, its copies join the batch. Nothing is replayed, since the marks hold
    the states of the prefixes, sums of windows included.
    """
    tokens, marks = written.tokens, written.marks
    n, length = tokens.shape
    out = tokens.expand(len(marks), copies, n, length).clone()
    flat = out.view(-1, length)  # rows by (prefix, copy, text): later prefixes join at the end
    state: State | None = None
    features = written.features[:, 0]
    for t in range(min(marks), length):
        if t in marks:
            fresh = repeat(marks[t], copies)
            state = fresh if state is None else join([state, fresh])
        assert state is not None
        count = len(state[0])
        uniform = noise.uniform(n, count // n, 2).transpose(0, 1).reshape(-1, 2)  # (copies of all prefixes * n, 2)
        token = _ended(flat[:count, t - 1], next_tokens(sampler, state, uniform, Shape(temperature)), eos)
        flat[:count, t] = token
        state, features = sampler.step(state, token, read=t + 1 == length)
    return out, features.view(len(marks), copies, n, -1)


@torch.no_grad()
def search(
    policy: LeakPolicy,
    uniform: Tensor,
    copies: int,
    every: int,
    noise: Noise,
    *,
    eos: int | None = None,
    temperature: float = 1.0,
) -> tuple[Written, Tensor]:
    """Texts of a policy and the values (n, K + 1) of their prefixes of ``every``, 2 ``every``, ... tokens, the whole text last.

    A value is the mean probability of being real of ``copies`` completions, by the policy's own copy of the discriminator
    (Guo et al. 2018, Monte Carlo search). The completions' features are by-products of writing them.
    """
    sampler = policy.sampler()
    written = write(sampler, uniform, every, eos=eos, temperature=temperature)
    whole = policy.reader.logits(written.features[:, -1]).sigmoid()[:, None]  # (n, 1)
    if not copies:
        return written, whole
    _, features = completions(sampler, written, copies, noise, eos=eos, temperature=temperature)
    scores = policy.reader.logits(features.flatten(0, 2)).sigmoid().view(features.shape[:3])
    return written, torch.cat([scores.mean(1).t(), whole], 1)
