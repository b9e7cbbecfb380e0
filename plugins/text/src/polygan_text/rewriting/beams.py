"""Beam search: the text that a policy finds likeliest, in nats a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..policy import select
from ..rollout import ROWS

if TYPE_CHECKING:
    from torch import Tensor

    from ..policy import Sampler, State


def search(sampler: Sampler, n: int, length: int, beams: int, eos: int, banned: int | None = None) -> Tensor:
    """(n, length) tokens: for each source, the text with the highest log-likelihood divided by its tokens, the end among them.

    Each step keeps the ``beams`` likeliest beginnings. A text that ends is set aside. Texts of full length count without an end. The
    division keeps short texts from winning because they are short (Wu et al. 2016, arXiv:1609.08144, eq. 14, with alpha = 1).
    """
    state = sampler.start(n)
    device = state[0].device
    state = _rows(state, torch.arange(n, device=device).repeat_interleave(beams))
    base = torch.arange(n, device=device)[:, None] * beams
    scores = torch.full((n, beams), -torch.inf, device=device)
    scores[:, 0] = 0  # all beams are alike at first
    tokens = torch.full((n, beams, length), eos, device=device)
    best, chosen = torch.full((n,), -torch.inf, device=device), tokens[:, 0].clone()
    for t in range(length):
        found = scores[:, :, None] + _log_probabilities(sampler, state, banned).view(n, beams, -1)
        size = found.shape[2]
        top, places = found.flatten(1).topk(2 * beams)  # (n, 2 beams): enough where every beam may end
        source, word = places // size, places % size
        ends = word == eos
        best, chosen = _keep(best, chosen, tokens, (top / (t + 1)).masked_fill(~ends, -torch.inf)[:, :beams], source)
        scores, order = top.masked_fill(ends, -torch.inf).topk(beams)
        source, word = source.gather(1, order), word.gather(1, order)
        tokens = tokens.gather(1, source[:, :, None].expand(tokens.shape))
        tokens[:, :, t] = word
        # Even with certain words from here on, no beginning reaches more than its nats divided by the full length.
        if t + 1 == length or bool((best >= scores[:, 0] / length).all()):
            break
        state = sampler.advance(_rows(state, (base + source).flatten()), word.flatten())
    best, chosen = _keep(best, chosen, tokens, scores / length, torch.arange(beams, device=device).expand(n, beams))
    return chosen


def _keep(best: Tensor, chosen: Tensor, tokens: Tensor, values: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """The best values (n,) and their tokens (n, L), after candidates ``values`` (n, k) that are the beams ``source`` (n, 2k)."""
    value, place = values.max(1)
    beam = source.gather(1, place[:, None])[:, :, None].expand(-1, 1, tokens.shape[2])
    better = value > best
    chosen = torch.where(better[:, None], tokens.gather(1, beam)[:, 0], chosen)
    return torch.where(better, value, best), chosen


def _log_probabilities(sampler: Sampler, state: State, banned: int | None) -> Tensor:
    """(n, tokens), some rows at a time, because each row needs a copy of its source."""
    rows = (slice(begin, begin + ROWS) for begin in range(0, len(state[0]), ROWS))
    found = torch.cat([sampler.logits(select(state, part)).float() for part in rows])
    return found if banned is None else found.index_fill(1, torch.tensor([banned], device=found.device), -torch.inf)


def _rows(state: State, index: Tensor) -> State:
    return tuple(x[index] for x in state)
