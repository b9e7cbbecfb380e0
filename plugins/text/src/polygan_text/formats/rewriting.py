"""Policies of text/seq2seq as two graphs, an encoder and a step: ONNX files, or exported programs of torch."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim

from polygan.graphs import Graph, write_graph

from ..data.facts import EOS
from ..rewriting.lstm import LSTMSourcePolicy
from ..rewriting.pointer import AdditiveAttention, Memory
from ..rewriting.sources import copyable, plain, present
from .policies import EXTRA, check, facts, steps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from polygan.graphs import Kind

    from ..rewriting.policy import SourcePolicy
    from ..seq2seq import Seq2Seq

TINY = 1e-30
"""The least probability whose logarithm a step gives: of tokens that cannot be written."""


def onnx(recipe: Seq2Seq, networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write NAME-encoder.onnx and NAME-step.onnx for ``path`` NAME.onnx; see `graphs_of` and `polygan.graphs.write_graph`.

    CheckpointError where the files, step by step, give other log-probabilities than the policy.
    """
    return _write(recipe, networks, path, "onnx")


def program(recipe: Seq2Seq, networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the same as NAME-encoder.pt2 and NAME-step.pt2. Sources have 2 tokens or more: an empty source is two end tokens."""
    return _write(recipe, networks, path, "pt2")


def _write(recipe: Seq2Seq, networks: Mapping[str, nn.Module], path: Path, kind: Kind) -> list[Path]:
    source: Any = copy.deepcopy(networks["generator"]).cpu().float().eval().requires_grad_(False)
    parts = graphs_of(recipe, copy.deepcopy(source))
    (first, encode), (second, step) = (write_graph(graph, path, kind, part) for part, graph in parts.items())
    draw, most = torch.Generator().manual_seed(0), recipe.info["given_length"]
    for n, length in ((1, most), (3, max(2, most // 2))):
        given = torch.randint(EOS, recipe.vocabulary, (n, length), generator=draw)
        tokens = torch.randint(recipe.vocabulary, (n, recipe.text["length"]), generator=draw)
        memory, state = encode(given=given)
        with torch.no_grad():
            ours = source(tokens, given).probabilities().clamp(min=TINY).log()
        check(ours, steps(step, tokens, parts["step"].facts, state, given=given, memory=memory), second)
    return [first, second]


def graphs_of(recipe: Seq2Seq, policy: SourcePolicy) -> dict[str, Graph]:
    """The graphs ``encoder`` and ``step``, for any number of sources of the same number of tokens.

    The encoder takes ``given`` int64 (batch, source), padded with the end token, to ``memory`` (batch, source, numbers) and the first
    ``state`` (batch, numbers). The step takes both, ``given``, ``token`` int64 (batch,), the token drawn last or the start token,
    and ``place`` int64 (), how many tokens were drawn. It gives ``next_state``, and ``logits`` (batch, V + source): log-probabilities
    of the V words, and of copies of the source's unknown words by their positions, which may go in as the next token.
    """
    wrap = _LSTMStep if isinstance(policy, LSTMSourcePolicy) else _TransformerStep
    step: Any = wrap(policy, recipe.text["length"]).eval()
    encoder = _Encoder(policy, step).eval()
    given = torch.tensor([[5, 4, EOS], [3, EOS, EOS]]).clamp(max=recipe.vocabulary - 1)
    with torch.no_grad():
        memory, state = encoder(given)
    token = torch.zeros(2, dtype=torch.long)
    both = {0: "batch", 1: "source"}
    known = {"kind": "rewriting", **facts(recipe), "given_length": recipe.info["given_length"], "state": state.shape[1]}
    most = None if wrap is _LSTMStep else recipe.info["given_length"]
    dims = {"source": Dim("source", min=2, max=most)}
    read = Graph(
        encoder,
        [{"given": given}],
        ("memory", "state"),
        {"given": both, "memory": both, "state": {0: "batch"}},
        {**known, "part": "encoder"},
        dims=dims,
        extra=EXTRA,
    )
    trial = {"given": given, "memory": memory, "token": token, "place": torch.tensor(1), "state": state}
    one = {name: {0: "batch"} for name in ("token", "state", "next_state")}
    free = {"given": both, "memory": both, "logits": {0: "batch", 1: "words"}, **one}
    after = Graph(step, [trial], ("logits", "next_state"), free, {**known, "part": "step"}, dims=dims, extra=EXTRA)
    return {"encoder": read, "step": after}


class _Encoder(nn.Module):
    def __init__(self, policy: SourcePolicy, step: _Step) -> None:
        super().__init__()
        self.policy, self.step = policy, step

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor]:
        memory = self.policy.encode(given)
        return torch.cat([memory.values, memory.keys, *self.step.beside(memory)], 2), self.step.first(memory)


class _Step(nn.Module):
    """A step of a decoder; a subclass knows what the decoder remembers."""

    size: int

    def __init__(self, policy: Any, length: int) -> None:
        super().__init__()
        attention = policy.head.attention
        self.widths = [attention.query.in_features, attention.key.out_features]  # of values and keys
        if isinstance(attention, AdditiveAttention):
            policy.head.attention = _Additive(attention)
        self.policy, self.length = policy, length

    def forward(
        self, given: Tensor, memory: Tensor, token: Tensor, place: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        policy = self.policy
        inputs = policy.embedding(plain(token, policy.vocabulary))
        values, keys, *more = memory.split([*self.widths, memory.shape[2] - sum(self.widths)], 2)
        there = present(given)
        hidden, state = self.advance(inputs, more[0], there, place, state)
        source = Memory(copyable(given, policy.vocabulary), there, values, keys, ())
        found = policy.head(hidden[:, None], inputs[:, None], source, policy.embedding.weight)
        return found.probabilities()[:, 0].clamp(min=TINY).log(), state

    def beside(self, memory: Memory) -> tuple[Tensor, ...]:
        """What of the memory belongs to each token of the source, beside values and keys."""
        raise NotImplementedError

    def first(self, memory: Memory) -> Tensor:
        """(n, size) the state before the start token."""
        raise NotImplementedError

    def advance(
        self, inputs: Tensor, beside: Tensor, there: Tensor, place: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The decoder's hidden state (n, H) and the next state (n, size) after embedded tokens (n, E)."""
        raise NotImplementedError


class _LSTMStep(_Step):
    """The state holds h and c of each layer."""

    def beside(self, memory: Memory) -> tuple[Tensor, ...]:
        return ()

    def first(self, memory: Memory) -> Tensor:
        return memory.more[0].flatten(1)

    def advance(
        self, inputs: Tensor, beside: Tensor, there: Tensor, place: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        h, c = state.unflatten(1, (self.policy.layers, -1)).transpose(0, 1).chunk(2, 2)
        hidden, (h, c) = self.policy.lstm(inputs[:, None], (h.contiguous(), c.contiguous()))
        return hidden[:, 0], torch.cat([h, c], 2).transpose(0, 1).flatten(1)


class _TransformerStep(_Step):
    """The state has room for keys and values of each layer and of every token."""

    def beside(self, memory: Memory) -> tuple[Tensor, ...]:
        return memory.more

    def first(self, memory: Memory) -> Tensor:
        numbers = self.length * 2 * len(self.policy.decoder) * self.widths[0]
        return memory.values.new_zeros(memory.values.shape[0], numbers)

    def advance(
        self, inputs: Tensor, beside: Tensor, there: Tensor, place: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        width, places = self.widths[0], torch.arange(self.length)
        kept = list(state.unflatten(1, (self.length, -1)).split(width, 2))
        source = beside.split(width, 2)
        here, seen = (places == place)[:, None], (places <= place).expand(there.shape[0], -1)
        x = (inputs + self.policy.places.weight.index_select(0, place.view(1)))[:, None]
        for number, layer in enumerate(self.policy.decoder):
            own, rows = layer.own.norm(x), slice(2 * number, 2 * number + 2)
            pair = layer.own.keys_values(own)
            kept[rows] = [torch.where(here, new, old) for new, old in zip(pair, kept[rows], strict=True)]
            x = x + layer.own(own, *kept[rows], seen)
            x = x + layer.source(layer.source.norm(x), *source[rows], there)
            x = x + layer.down(F.gelu(layer.up(layer.norm(x))))
        return self.policy.norm(x)[:, 0], torch.cat(kept, 2).flatten(1)


class _Additive(nn.Module):
    """`AdditiveAttention` of one token, whose memory needs no bound."""

    def __init__(self, attention: AdditiveAttention) -> None:
        super().__init__()
        self.key, self.query, self.score = attention.key, attention.query, attention.score

    def forward(self, states: Tensor, keys: Tensor) -> Tensor:
        return self.score((self.query(states)[:, :, None] + keys[:, None]).tanh()).squeeze(3)
