"""Sampling whole sequences, and completing every prefix of given sequences: one engine for every policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from .categorical import draw
from .data.facts import OPEN, UNK
from .policy import join, repeat, select, without_dropout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from polygan import Noise

    from .data.facts import TextInfo
    from .policy import Policy, Sampler, State

TOKENS = 2**19
"""Tokens of completions that are made together. A policy's state of 1 KB a token, as small transformers have, then takes 512 MB."""
ROWS = 128
"""Rows of probabilities in memory at a time: (ROWS, V) numbers stay near the processor for every batch size."""
# The other rows go on alone once this share has ended: a copy of their states costs time too.
_ENDED = 0.25


class Shape(NamedTuple):
    """How the distribution of the next token is changed before a token is drawn."""

    temperature: float = 1.0
    """Divides the logits; above 0."""
    top_k: int = 0
    """Only so many of the most likely tokens are drawn (Fan et al. 2018); 0: all."""
    top_p: float = 1.0
    """Only the most likely tokens are drawn that together have this probability (Holtzman et al. 2020); 1: all."""
    banned: int | None = None
    """A token that is never drawn."""


PLAIN = Shape()


def shaped(logits: Tensor, shape: Shape) -> Tensor:
    """Probabilities (n, V) of the next token from ``logits`` (n, V)."""
    temperature, top_k, top_p, banned = shape
    logits = logits if temperature == 1 else logits / temperature
    if banned is not None:
        logits = logits.index_fill(1, torch.tensor([banned], device=logits.device), -torch.inf)
    if 0 < top_k < logits.shape[1]:
        logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -torch.inf)
    found = logits.softmax(1)
    if top_p < 1:
        kept, order = found.sort(1, descending=True)
        before = kept.cumsum(1) - kept  # the first token has nothing before it, so one is left
        found = found.masked_fill((before >= top_p).gather(1, order.argsort(1)), 0)
    return found


def next_tokens(sampler: Sampler, state: State, uniform: Tensor, shape: Shape = PLAIN) -> Tensor:
    """(n,) tokens drawn from the next-token distribution of a state; ``uniform`` (n, 2)."""
    tokens = []
    for begin in range(0, len(uniform), ROWS):
        rows = slice(begin, begin + ROWS)
        logits = sampler.logits(select(state, rows)).float()
        tokens.append(draw(shaped(logits, shape), uniform[rows]))
    return torch.cat(tokens)


def kept_rows(token: Tensor, eos: int | None, share: float = _ENDED) -> Tensor | None:
    """The rows of tokens (n,) whose sequences go on, where at least this share has ended; None: all rows go on.

    A count is read from the device, so rows are left out on the processor alone.
    """
    if eos is None or token.device.type != "cpu":
        return None
    going = (token != eos).nonzero().squeeze(1)
    return going if len(going) <= (1 - share) * len(token) else None


def pick(state: State, rows: Tensor) -> State:
    """The state of the sequences with the numbers ``rows``."""
    return tuple(x[rows] for x in state)


@torch.no_grad()
def sample(
    policy: Policy,
    uniform: Tensor,
    *,
    eos: int | None = None,
    labels: Tensor | None = None,
    prefix: Tensor | None = None,
    shape: Shape = PLAIN,
) -> Tensor:
    """(n, L) tokens from ``uniform`` (n, L, 2) in [0, 1); after the first ``eos`` every token is ``eos``.

    ``prefix`` (n, K), or (1, K) for all, holds the beginning of each sequence, and `OPEN` after its last token. Nothing is
    dropped, also in training mode.
    """
    with without_dropout(policy):
        return _sampled(policy, uniform, eos, labels, prefix, shape)


def _sampled(
    policy: Policy, uniform: Tensor, eos: int | None, labels: Tensor | None, prefix: Tensor | None, shape: Shape
) -> Tensor:
    n, length, _ = uniform.shape
    known, shortest = (0, 0) if prefix is None else (prefix.shape[1], int((prefix != OPEN).sum(1).min()))
    sampler = policy.sampler()
    state = sampler.start(n, labels)
    tokens = torch.full((n, length), 0 if eos is None else eos, device=uniform.device)
    rows = torch.arange(n, device=uniform.device)
    token = None
    for t in range(length):
        before, token = token, torch.zeros_like(rows)
        if t >= shortest:
            token = _ended(before, next_tokens(sampler, state, uniform[rows, t], shape), eos)
        if prefix is not None and t < known:
            token = torch.where(prefix[:, t] == OPEN, token, prefix[:, t])
        tokens[rows, t] = token
        kept = kept_rows(token, eos) if t + 1 >= known else None
        if kept is not None:
            rows, token, state = rows[kept], token[kept], pick(state, kept)
        if t + 1 == length or not len(rows):
            break
        state = sampler.advance(state, token)
    return tokens


def _ended(before: Tensor | None, token: Tensor, eos: int | None) -> Tensor:
    """``token`` (n,), but ``eos`` where the token ``before`` was ``eos``."""
    return token if eos is None or before is None else torch.where(before == eos, eos, token)


@torch.no_grad()
def roll_out(
    policy: Policy,
    tokens: Tensor,
    n: int,
    noise: Noise,
    *,
    eos: int | None = None,
    labels: Tensor | None = None,
    every: int = 1,
    cut: int = 0,
) -> Tensor:
    """Monte-Carlo completions (K, n, B, L) by ``policy`` of the proper prefixes of ``tokens`` (B, L) after each ``every`` tokens.

    Yu et al. 2017 (arXiv:1609.05473), eq. 4: entry [k, j, b] begins with the first (k + 1) * ``every`` tokens of sequence b.
    With ``cut`` above 0 a completion has so many further tokens, and `OPEN` after them. A sequence that has ended is its own
    completion. Nothing is dropped. At most `TOKENS` tokens of completions are made together, which bounds the memory of states;
    the numbers drawn do not depend on this bound.
    """
    size, length = tokens.shape
    lengths = prefix_lengths(length, every)
    drawn = {t: noise.uniform(size, (t // every) * n, 2) for t in range(every, length)}
    group = max(1, TOKENS // (n * size * length))
    found = [tokens.new_empty(0, n, size, length)]
    with without_dropout(policy):
        for begin in range(0, len(lengths), group):
            own = {t: u[:, begin * n : (begin + group) * n] for t, u in drawn.items()}
            found.append(_completed(policy, tokens, lengths[begin : begin + group], n, own, eos, labels, cut))
    return torch.cat(found)


def prefix_lengths(length: int, every: int = 1) -> list[int]:
    """The lengths of the prefixes of ``length`` tokens that `roll_out` completes."""
    return list(range(every, length, every))


def _completed(
    policy: Policy,
    tokens: Tensor,
    lengths: list[int],
    n: int,
    drawn: Mapping[int, Tensor],
    eos: int | None,
    labels: Tensor | None,
    cut: int,
) -> Tensor:
    """Completions of the prefixes of these lengths. At time t, n copies of the state after t tokens join the batch.

    One step draws the next token of every completion begun so far. No prefix is read twice; a state is advanced once a token.
    """
    size, length = tokens.shape
    sampler = policy.sampler()
    out = tokens.expand(len(lengths), n, size, length).clone()
    flat = out.view(-1, length)  # rows by (prefix, copy, sequence): later prefixes join at the end
    numbers = torch.arange(len(flat), device=tokens.device).view(len(lengths), n * size)
    base, going = sampler.start(size, labels), torch.arange(size, device=tokens.device)  # sequences that have not ended
    state, rows, begun, over = pick(base, going[:0]), going[:0], 0, 0
    for t in range(1, length):
        if begun < len(lengths) and len(going):
            base = sampler.advance(base, tokens[going, t - 1])
            kept = kept_rows(tokens[going, t - 1], eos, 0.0)
            if kept is not None:
                base, going = pick(base, kept), going[kept]
        if begun < len(lengths) and lengths[begun] == t:
            fresh = repeat(base, n)
            state = join([state, fresh]) if len(rows) else fresh
            rows = torch.cat([rows, numbers[begun].view(n, size)[:, going].flatten()])
            begun += 1
        if cut and lengths[over] + cut == t:  # the oldest prefix has all its tokens
            _open(out[over], t, eos)
            over += 1
            gone = int((rows < over * n * size).sum()) if rows.device.type == "cpu" else n * size
            state, rows = select(state, slice(gone, None)), rows[gone:]
        if not len(rows):
            continue
        uniform = drawn[t].transpose(0, 1).reshape(-1, 2)  # (prefixes * n * B, 2)
        token = _ended(flat[rows, t - 1], next_tokens(sampler, state, uniform[rows]), eos)
        flat[rows, t] = token
        kept = kept_rows(token, eos)
        if eos is not None and kept is not None:
            flat[rows[token == eos], t:] = eos
            rows, token, state = rows[kept], token[kept], pick(state, kept)
        if t + 1 < length and len(rows):
            state = sampler.advance(state, token)
    return out


def _open(completions: Tensor, t: int, eos: int | None) -> None:
    """Leave the places from ``t`` on open in completions (n, B, L) that have not ended."""
    last = completions[:, :, t - 1 : t]
    completions[:, :, t:] = OPEN if eos is None else torch.where(last == eos, eos, OPEN)


def valid(tokens: Tensor, eos: int | None) -> Tensor:
    """(n, L) 1.0 up to and with the first ``eos``, 0.0 after it."""
    if eos is None:
        return torch.ones(tokens.shape, device=tokens.device)
    ended = (tokens == eos).long().cumsum(1)
    return ((ended == 0) | ((ended == 1) & (tokens == eos))).float()


def scored(tokens: Tensor, info: TextInfo) -> Tensor:
    """(n, L) 1.0 for tokens whose likelihood counts in a score: up to the first end, without words outside the vocabulary.

    A policy without ``<unk>`` in its training data learns nothing of this token, which would then dominate the score.
    """
    mask = valid(tokens, info["eos"])
    return mask * (tokens != UNK) if "tokenizer" in info else mask
