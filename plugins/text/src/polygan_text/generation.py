"""Texts by seed: invented, begun with a prefix, or continued from given texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from polygan import ConfigError, Samples, class_index

from .data.facts import TEXTS, UNK, text_extra
from .data.vocabulary import decode, encode_prefixes
from .reranking import choose, log_weights
from .rollout import Shape, sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from polygan import Noise, Request

    from .data.facts import TextInfo
    from .reranking import Judge
    from .settings import Sampling


def write_texts(
    policy: Any,
    request: Request,
    info: TextInfo,
    classes: Sequence[str],
    first: int = 0,
    judge: Judge | None = None,
    usual: int = 1,
) -> Samples:
    """The texts of a request and their tokens (n, L); ``first`` counts the given texts of earlier pieces.

    ``judge`` chooses each text among ``rerank`` texts, or among ``usual`` ones; ConfigError where there is no judge.
    """
    n, noise, given, options = request.n, request.noise, request.given, request.options
    copies, length = options.rerank or usual, info["length"]
    if copies > 1 and judge is None:
        raise ConfigError(f"rerank = {copies} asks the discriminator, and this model has none; leave --rerank out")
    prefixes, labels = _prefixes(options, given, info), _labels(n, options, given, classes, first)
    shape = Shape(options.temperature, options.top_k, options.top_p, _banned(options, info))
    # Given texts may come in pieces; each piece draws its own numbers.
    whole = _drawn(noise, n, copies, length, options) if given is None else None
    pieces, size = [], max(1, TEXTS // copies)
    for begin in range(0, n, size):
        rows = slice(begin, min(begin + size, n))
        own = whole.rows(rows) if whole else _drawn(noise, rows.stop - begin, copies, length, options)
        told = None if labels is None else labels[rows].to(request.device).repeat_interleave(copies)
        begun = None if prefixes is None else (prefixes if given is None else prefixes[rows]).to(request.device)
        if begun is not None and len(begun) > 1:
            begun = begun.repeat_interleave(copies, 0)
        texts = own.texts.flatten(0, 1).to(request.device)
        found = sample(policy, texts, eos=info["eos"], labels=told, prefix=begun, shape=shape)
        if judge is not None and copies > 1:
            weights = log_weights(policy, judge, found, told, info["eos"], options.temperature).view(-1, copies)
            best = choose(weights, None if own.choice is None else own.choice.to(request.device))
            found = found.view(-1, copies, found.shape[1])[torch.arange(len(best), device=best.device), best]
        pieces.append(found.cpu())
    tokens = torch.cat(pieces)
    names = () if given is None else given.names
    return Samples(decode(tokens, info), labels=labels, classes=classes, names=names, extra=text_extra(tokens))


class _Numbers(NamedTuple):
    """The random numbers of n texts."""

    texts: Tensor
    """(n, copies, L, 2) uniform numbers of the tokens of each text's copies."""
    choice: Tensor | None
    """(n, 2) uniform numbers with which one of the copies is chosen; None: the best is taken, or there is one."""

    def rows(self, rows: slice) -> _Numbers:
        """Those of some of the texts."""
        return _Numbers(self.texts[rows], None if self.choice is None else self.choice[rows])


def _drawn(noise: Noise, n: int, copies: int, length: int, options: Sampling) -> _Numbers:
    texts = noise.uniform(n, copies, length, 2)
    return _Numbers(texts, noise.uniform(n, 2) if copies > 1 and options.rerank_by == "weight" else None)


def _banned(options: Sampling, info: TextInfo) -> int | None:
    """The token of words outside the vocabulary, unless it is asked for or the data is only numbers."""
    return None if options.unknown or "tokenizer" not in info else UNK


def _prefixes(options: Sampling, given: Samples | None, info: TextInfo) -> Tensor | None:
    """The tokens (n, K) that texts begin with, (1, K) where all begin alike, or None."""
    if given is None:
        return encode_prefixes([options.prefix], (), info) if options.prefix else None
    if options.prefix:
        raise ConfigError(f"prefix = {options.prefix!r}: the given texts are prefixes already; leave the prefix out")
    return encode_prefixes(given.data, given.names, info)


def _labels(n: int, options: Sampling, given: Samples | None, classes: Sequence[str], first: int) -> Tensor | None:
    """The texts' classes (n,): the class asked for, the given texts' classes, or all in turn; None without classes."""
    label = class_index(options.label, classes)
    if not classes:
        return None
    if label is not None:
        return torch.full((n,), label)
    if given is not None and given.labels is not None:
        return given.labels
    return (first + torch.arange(n)) % len(classes)
