"""Texts by seed: invented, begun with a prefix, or continued from given texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from polygan import ConfigError, Samples, class_index

from .data.facts import TEXTS, UNK, text_extra
from .data.vocabulary import decode, encode_prefixes
from .rollout import Shape, sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from polygan import Request

    from .data.facts import TextInfo
    from .settings import Sampling


def write_texts(policy: Any, request: Request, info: TextInfo, classes: Sequence[str], first: int = 0) -> Samples:
    """The texts of a request and their tokens (n, L); ``first`` counts the given texts of earlier pieces."""
    n, noise, given, options = request.n, request.noise, request.given, request.options
    prefixes, labels = _prefixes(options, given, info), _labels(n, options, given, classes, first)
    shape = Shape(options.temperature, options.top_k, options.top_p, _banned(options, info))
    # Given texts may come in pieces; each piece draws its own numbers.
    whole = noise.uniform(n, info["length"], 2) if given is None else None
    pieces = []
    for begin in range(0, n, TEXTS):
        rows = slice(begin, min(begin + TEXTS, n))
        uniform = noise.uniform(rows.stop - begin, info["length"], 2) if whole is None else whole[rows]
        pieces.append(
            sample(
                policy,
                uniform.to(request.device),
                eos=info["eos"],
                labels=None if labels is None else labels[rows].to(request.device),
                prefix=None if prefixes is None else (prefixes if given is None else prefixes[rows]).to(request.device),
                shape=shape,
            ).cpu()
        )
    tokens = torch.cat(pieces)
    names = () if given is None else given.names
    return Samples(decode(tokens, info), labels=labels, classes=classes, names=names, extra=text_extra(tokens))


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
