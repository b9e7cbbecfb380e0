"""An LSTM that reads a source in both directions, and an LSTM that writes with additive attention (See et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..recurrent import LSTM
from .pointer import AdditiveAttention, PointerHead
from .policy import SourcePolicy
from .sources import present

if TYPE_CHECKING:
    from torch import Tensor

    from ..policy import State
    from .pointer import Memory


class Encoder(nn.Module):
    """An LSTM from left to right and an LSTM from right to left; each has half of the width."""

    def __init__(self, embedding_dim: int, width: int) -> None:
        super().__init__()
        self.ahead = LSTM(embedding_dim, width - width // 2, batch_first=True)
        self.back = LSTM(embedding_dim, width // 2, batch_first=True)

    def forward(self, inputs: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """States (n, S, width) of embedded sources (n, S, E), and the last state (n, width) of both directions.

        ``there`` (n, S) tells the source from its padding. The padding changes no state of the source.
        """
        lengths = there.sum(1, keepdim=True)
        places = torch.arange(inputs.shape[1], device=inputs.device)
        turned = torch.where(places < lengths, lengths - 1 - places, places)[:, :, None]  # (n, S, 1)
        ahead, _ = self.ahead(inputs)
        back, _ = self.back(inputs.gather(1, turned.expand(inputs.shape)))
        back = back.gather(1, turned.expand(back.shape))
        last = ahead.gather(1, (lengths - 1)[:, :, None].expand(-1, 1, ahead.shape[2]))[:, 0]
        return torch.cat([ahead, back], 2), torch.cat([last, back[:, 0]], 1)


class LSTMSourcePolicy(SourcePolicy):
    """The pointer-generator network (See et al. 2017, section 2.2), with an LSTM of one layer or more as decoder.

    As in the paper's equations, the decoder's state reads the tokens alone; the source enters by the first state and the attention.
    """

    def __init__(
        self,
        vocabulary: int,
        embedding_dim: int = 128,
        width: int = 256,
        *,
        layers: int = 1,
        start_token: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.vocabulary, self.width, self.layers = vocabulary, width, layers
        self.start_token, self.dropout = start_token, dropout
        self.embedding = nn.Embedding(vocabulary, embedding_dim)
        nn.init.normal_(self.embedding.weight, std=embedding_dim**-0.5)
        self.encoder = Encoder(embedding_dim, width)
        self.reduce = nn.Linear(width, 2 * layers * width)
        self.lstm = nn.LSTM(embedding_dim, width, layers, batch_first=True)
        self.head = PointerHead(AdditiveAttention(width), width, self.embedding)

    def encode(self, given: Tensor, dropout: float = 0.0) -> Memory:
        """The memory of sources (n, S); beside, the decoder's first states (n, layers, 2 width)."""
        inputs = F.dropout(self.embedding(given), dropout)
        values, last = self.encoder(inputs, present(given))
        first = self.reduce(last).tanh().view(given.shape[0], self.layers, 2 * self.width)
        return self.remember(given, F.dropout(values, dropout), first)

    def decode(self, inputs: Tensor, memory: Memory, dropout: float) -> Tensor:
        """States (n, L, H); of several layers, the last layer's."""
        h, c = memory.more[0].transpose(0, 1).chunk(2, 2)  # (layers, n, width)
        states, _ = self.lstm(inputs, (h.contiguous(), c.contiguous()))
        return states

    def first(self, memory: Memory, index: Tensor) -> State:
        """h and c of each layer, by the source."""
        first = memory.more[0][index]  # (n, layers, 2 width)
        return tuple(part for layer in first.unbind(1) for part in layer.chunk(2, 1))

    def step(self, inputs: Tensor, memory: Memory, past: State) -> tuple[Tensor, State]:
        """One step of every layer; torch's order of the gates is input, forget, cell, output."""
        new: list[Tensor] = []
        for (h, c), (into, back, bias, more) in zip(
            zip(past[::2], past[1::2], strict=True), self.lstm.all_weights, strict=True
        ):
            gates = torch.addmm(torch.addmm(bias + more, inputs, into.t()), h, back.t())
            i, f, g, o = gates.chunk(4, 1)
            c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
            inputs = o.sigmoid() * c.tanh()
            new += [inputs, c]
        return inputs, tuple(new)
