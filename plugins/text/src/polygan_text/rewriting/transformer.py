"""A transformer that reads a source and writes a text (Vaswani et al. 2017, arXiv:1706.03762), with norms before each part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from .pointer import DotAttention, PointerHead
from .policy import SourcePolicy
from .sources import present

if TYPE_CHECKING:
    from torch import Tensor

    from ..policy import State
    from .pointer import Memory


class Attention(nn.Module):
    """Attention with several heads; keys and values (n, T, width) stay outside, so that a sampler can keep them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.pair = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, *, causal: bool = False) -> Tensor:
        """What the attention adds to x (n, T, width), which is normed; ``mask`` (n, S) bool tells which keys there are."""
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (self.query(x), keys, values))
        seen = None if mask is None else mask[:, None, None]
        found = F.scaled_dot_product_attention(q, k, v, seen, is_causal=causal)  # (n, heads, T, width / heads)
        return self.out(found.transpose(1, 2).flatten(2))

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (n, T, width) of x (n, T, width)."""
        keys, values = self.pair(x).chunk(2, 2)
        return keys, values


class Layer(nn.Module):
    """A layer of the encoder, or of the decoder (``crossed``): attention on itself, on the source, and two linear maps."""

    def __init__(self, width: int, heads: int, *, crossed: bool) -> None:
        super().__init__()
        self.own = Attention(width, heads)
        self.source = Attention(width, heads) if crossed else None
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def read(self, x: Tensor, mask: Tensor, dropout: float) -> Tensor:
        """A layer of the encoder: x (n, S, width), of which ``mask`` (n, S) is there."""
        own = self.own.norm(x)
        x = x + F.dropout(self.own(own, *self.own.keys_values(own), mask), dropout)
        return self._mapped(x, dropout)

    def write(
        self, x: Tensor, source: tuple[Tensor, Tensor, Tensor], past: State = (), dropout: float = 0.0
    ) -> tuple[Tensor, State]:
        """A layer of the decoder: x (n, T, width) after the keys and values ``past``, and all keys and values.

        ``source`` has keys, values (n, S, width) and mask (n, S). With a past, T is 1.
        """
        assert self.source is not None
        own = self.own.norm(x)
        found = self.own.keys_values(own)
        kept = tuple(torch.cat([a, b], 1) for a, b in zip(past, found, strict=True)) if past else found
        x = x + F.dropout(self.own(own, *kept, None, causal=not past), dropout)
        x = x + F.dropout(self.source(self.source.norm(x), *source), dropout)
        return self._mapped(x, dropout), kept

    def _mapped(self, x: Tensor, dropout: float) -> Tensor:
        return x + F.dropout(self.down(F.gelu(self.up(self.norm(x)))), dropout)


class TransformerSourcePolicy(SourcePolicy):
    """Encoder and decoder with learned positions; the copies come from one more attention on the source, of one head."""

    crossed = True

    def __init__(
        self,
        vocabulary: int,
        given_length: int,
        length: int,
        width: int = 128,
        *,
        layers: int = 2,
        heads: int = 4,
        start_token: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.vocabulary, self.start_token, self.dropout = vocabulary, start_token, dropout
        self.embedding = nn.Embedding(vocabulary, width)
        self.given_places, self.places = nn.Embedding(given_length, width), nn.Embedding(length, width)
        for table in (self.embedding, self.given_places, self.places):
            nn.init.normal_(table.weight, std=width**-0.5)
        self.encoder: Any = nn.ModuleList(Layer(width, heads, crossed=False) for _ in range(layers))
        self.decoder: Any = nn.ModuleList(Layer(width, heads, crossed=True) for _ in range(layers))
        self.given_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.head = PointerHead(DotAttention(width), width, self.embedding)

    def encode(self, given: Tensor, dropout: float = 0.0) -> Memory:
        """The memory of sources (n, S); beside, keys and values (n, S, width) of each layer of the decoder."""
        there = present(given)
        x = F.dropout(self.embedding(given) + self.given_places.weight[: given.shape[1]], dropout)
        for layer in self.encoder:
            x = layer.read(x, there, dropout)
        values = self.given_norm(x)
        more = [part for layer in self.decoder for part in layer.source.keys_values(values)]
        return self.remember(given, values, *more)

    def decode(self, inputs: Tensor, memory: Memory, dropout: float) -> Tensor:
        """States (n, L, width) of the last layer, normed."""
        x = inputs + self.places.weight[: inputs.shape[1]]
        for number, layer in enumerate(self.decoder):
            x, _ = layer.write(x, (*memory.more[2 * number : 2 * number + 2], memory.present), (), dropout)
        return self.norm(x)

    def first(self, memory: Memory, index: Tensor) -> State:
        """Keys and values of no token."""
        width = self.embedding.weight.shape[1]
        return (memory.values.new_zeros(len(index), 0, width),) * (2 * len(self.decoder))

    def step(self, inputs: Tensor, memory: Memory, past: State) -> tuple[Tensor, State]:
        """One step on top of the kept keys and values."""
        x = (inputs + self.places.weight[past[0].shape[1]])[:, None]
        kept: list[Tensor] = []
        for number, layer in enumerate(self.decoder):
            rows = slice(2 * number, 2 * number + 2)
            x, own = layer.write(x, (*memory.more[rows], memory.present), past[rows])
            kept += own
        return self.norm(x)[:, 0], tuple(kept)
