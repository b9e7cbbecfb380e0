"""A text for each given source: by beam search, drawn, or drawn several times and chosen by the discriminator."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from polygan import ConfigError, Samples

from ..data.facts import TEXTS, UNK, text_extra
from ..data.vocabulary import decode, encode_given, load_vocabulary
from ..reranking import choose, log_weights
from ..rollout import Shape, sample
from .beams import search
from .sources import plain, present

if TYPE_CHECKING:
    from torch import Tensor

    from polygan import Noise, Request

    from ..data.facts import TextInfo
    from .discriminator import PairDiscriminator
    from .policy import SourcePolicy, Writer


def rewrite(policy: SourcePolicy, judge: PairDiscriminator | None, request: Request, info: TextInfo) -> Samples:
    """A text for each given source, with its tokens (n, L); copied unknown words are ``<unk>`` in the tokens.

    Raises ConfigError where a discriminator should choose and there is none.
    """
    given, options = request.given, request.options
    assert given is not None
    if options.rerank > 1 and judge is None:
        raise ConfigError(
            f"rerank = {options.rerank} asks the discriminator, and this model has none; leave --rerank out"
        )
    sources, pieces = encode_given(given.data, info)
    job = _Job(policy, judge if options.rerank > 1 else None, options, info)
    numbers = job.numbers(request.noise, len(sources))
    made, size = [], max(1, TEXTS // max(job.copies, job.beams))
    for begin in range(0, len(sources), size):
        rows = slice(begin, begin + size)
        own = sources[rows]
        own = own[:, : int(present(own).sum(1).max())].to(request.device)  # short sources need less memory
        made.append(job.write(own, numbers.rows(rows, request.device)).cpu())
    tokens = torch.cat(made)
    return Samples(decode(tokens, info, pieces), names=given.names, extra=text_extra(plain(tokens, policy.vocabulary)))


def count_cut(given: Samples, info: TextInfo) -> int:
    """How many texts of a user have more tokens than the run's sources; 0 for sources of the data, whose receipt tells."""
    if "tokens" in given.extra or "tokenizer" not in info or "given_length" not in info:
        return 0
    return sum(len(ids) >= info["given_length"] for ids in load_vocabulary(info["tokenizer"]).encode(given.data))


def tell_cut(cut: int, n: int, info: TextInfo) -> None:
    """A warning of the logger ``polygan`` that the ends of ``cut`` of ``n`` given texts were not read."""
    if cut and "given_length" in info:
        logging.getLogger("polygan").warning(
            f"polygan: {cut:,} of {n:,} given texts have more than {info['given_length'] - 1:,} tokens, and their ends were not read; "
            "train with a larger --data.given_length"
        )


class _Numbers(NamedTuple):
    """The random numbers of n texts."""

    tokens: Tensor
    """(n, copies, L, 2) uniform numbers of the tokens of each text's copies."""
    choice: Tensor | None
    """(n, 2) uniform numbers with which one of the copies is chosen; None: the best is taken, or there is one."""

    def rows(self, rows: slice, device: torch.device) -> _Numbers:
        """Those of some of the texts."""
        choice = None if self.choice is None else self.choice[rows].to(device)
        return _Numbers(self.tokens[rows].to(device), choice)


class _Job:
    """How texts are written."""

    def __init__(self, policy: SourcePolicy, judge: PairDiscriminator | None, options: Any, info: TextInfo) -> None:
        self.policy, self.judge, self.options, self.length, self.eos = (
            policy,
            judge,
            options,
            info["length"],
            info["eos"],
        )
        self.copies = max(1, options.rerank)
        self.beams: int = getattr(options, "width", 0)  # the options of other recipes know only drawn texts
        self.banned = None if options.unknown or "tokenizer" not in info else UNK

    def numbers(self, noise: Noise, n: int) -> _Numbers:
        """The numbers of n texts; a search needs none."""
        if self.beams:
            return _Numbers(torch.zeros(n, 1, self.length, 2), None)
        tokens = noise.uniform(n, self.copies, self.length, 2)
        return _Numbers(tokens, noise.uniform(n, 2) if self.copies > 1 and self.options.rerank_by == "weight" else None)

    def write(self, given: Tensor, numbers: _Numbers) -> Tensor:
        """(n, L) tokens for sources (n, S)."""
        writer, options = self.policy.of(given), self.options
        if self.beams > 1:
            assert self.eos is not None
            return search(writer.sampler(), len(given), self.length, self.beams, self.eos, self.banned)
        shape = Shape(options.temperature, 1 if self.beams else options.top_k, options.top_p, self.banned)
        index = None  # the sources in order
        if self.copies > 1:
            index = torch.arange(len(given), device=given.device).repeat_interleave(self.copies)
        policy: Any = writer
        found = sample(policy, numbers.tokens.flatten(0, 1), eos=self.eos, labels=index, shape=shape)
        if self.judge is None or index is None:
            return found
        return self._chosen(writer, found, index, numbers.choice)

    def _chosen(self, writer: Writer, found: Tensor, index: Tensor, choice: Tensor | None) -> Tensor:
        """One of the copies (n * copies, L) of each text."""
        assert self.judge is not None
        policy: Any = writer
        weights = log_weights(
            policy, self.judge.of(writer.given), found, index, self.eos, self.options.temperature
        ).view(-1, self.copies)
        best = choose(weights, choice)
        return found.view(-1, self.copies, self.length)[torch.arange(len(best), device=best.device), best]
