"""Frames from text: with the frames before given (training), and one after another (synthesis)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import linear
from .location import LocationAttention
from .recurrence import Recurrent, lstm

if TYPE_CHECKING:
    from .shape import Shape
    from .stopping import Stop


class Decoded(NamedTuple):
    """What T steps make."""

    mel: Tensor
    """(B, n_mels, T * reduction)."""
    stop_logits: Tensor
    """(B, T)."""
    alignment: Tensor
    """(B, T, S)."""


@dataclass
class State:
    """What one step of synthesis leaves to the next."""

    attention: tuple[Tensor, Tensor]
    decoder: tuple[Tensor, Tensor]
    context: Tensor
    places: Tensor

    def tensors(self) -> tuple[Tensor, ...]:
        """All of these in one row: LSTMs' hidden states and cells, context, places."""
        return (*self.attention, *self.decoder, self.context, self.places)


class Prenet(nn.Module):
    """Two layers whose dropout is always on (Shen et al. 2018, section 2.2)."""

    def __init__(self, inputs: int, units: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.layers = nn.ModuleList([linear(inputs, units, bias=False), linear(units, units, bias=False)])

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(..., inputs) to (..., units). ``generator`` draws what is dropped, on its own device; None: torch's own."""
        for layer in self.layers:
            x = torch.relu(layer(x))
            if self.rate:
                x = x * _kept(x, self.rate, generator)
        return x


def _kept(like: Tensor, rate: float, generator: torch.Generator | None = None) -> Tensor:
    """Dropout's factors, drawn as torch's dropout draws them on the CPU: 0, or 1 / (1 - rate)."""
    device = like.device if generator is None else generator.device
    kept = torch.empty(like.shape, dtype=like.dtype, device=device).bernoulli_(1 - rate, generator=generator)
    return kept.div_(1 - rate).to(like.device)


class Decoder(nn.Module):
    """Shen et al. 2018, section 2.2: prenet, attention LSTM, attention, decoder LSTM, projection to frames and stop gate."""

    def __init__(self, n_mels: int, memory: int, shape: Shape) -> None:
        super().__init__()
        self.n_mels, self.shape = n_mels, shape
        attention, units = shape.attention_units, shape.decoder_units
        self.prenet = Prenet(n_mels * shape.reduction, shape.prenet, shape.prenet_dropout)
        self.attention_rnn = nn.LSTMCell(shape.prenet + memory, attention)
        self.attention_layer = LocationAttention(
            attention, memory, shape.attention, shape.location_filters, shape.location_kernel
        )
        self.decoder_rnn = nn.LSTMCell(attention + memory, units)
        self.linear_projection = linear(units + memory, n_mels * shape.reduction)
        self.gate_layer = linear(units + memory, 1, like="sigmoid")

    def forward(self, memory: Tensor, mel: Tensor, bias: Tensor) -> Decoded:
        """Frames, each from the true frames before it. ``memory`` (B, S, memory), ``mel`` (B, n_mels, T * reduction), ``bias`` (B, S).

        Only the attention's loop goes over steps in order: the prenet and the gates' inputs are one product for all steps, and
        the decoder's LSTM, which nothing feeds back into the attention, follows on all steps.
        """
        frames = mel.transpose(1, 2).unflatten(1, (-1, self.shape.reduction)).flatten(2)  # (B, T, n_mels * reduction)
        before = F.pad(frames, (0, 0, 1, 0))[:, :-1].transpose(0, 1)  # (T, B, n_mels * reduction)
        hidden, context, alignment = self._attend(self._given(before), memory, bias)
        both = torch.cat([self._decode(torch.cat([hidden, context], 2)), context], 2)
        made, gate = self.linear_projection(both), self.gate_layer(both)
        return Decoded(self._frames(made), gate[..., 0].T, alignment.transpose(0, 1))

    def _given(self, before: Tensor) -> Tensor:
        # One frame more than is used: torchaudio draws the prenet's dropout so, and the same seed gives the same here.
        return self.prenet(F.pad(before, (0, 0, 0, 0, 0, 1)))[:-1]

    def _frames(self, made: Tensor) -> Tensor:
        """(T, B, n_mels * reduction) to (B, n_mels, T * reduction)."""
        return made.transpose(0, 1).unflatten(2, (-1, self.n_mels)).flatten(1, 2).transpose(1, 2)

    def _attend(self, given: Tensor, memory: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The attention's LSTM and its weights over T steps: hidden (T, B, units), context (T, B, memory), weights (T, B, S)."""
        cell, attention = self.attention_rnn, self.attention_layer
        keys, matrix = attention.memory_layer(memory), attention.location_layer.matrix()
        split = given.shape[2]
        inputs = F.linear(given, cell.weight_ih[:, :split], cell.bias_ih + cell.bias_hh)  # (T, B, 4 * units)
        recurrent = Recurrent(torch.cat([cell.weight_ih[:, split:], cell.weight_hh], 1))
        batch, symbols, width = memory.shape
        hidden = cells = memory.new_zeros(batch, cell.hidden_size)
        context, weights = memory.new_zeros(batch, width), memory.new_zeros(batch, symbols)
        total = weights
        kept = self._dropped(inputs[..., : cell.hidden_size], self.shape.attention_dropout)
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for step, x in enumerate(inputs.unbind(0)):
            hidden, cells = lstm(recurrent(x, torch.cat([context, hidden], 1)), cells)
            if kept is not None:
                hidden = hidden * kept[step]
            weights = attention(hidden, keys, torch.stack([weights, total], 1), matrix, bias)
            total = total + weights
            context = torch.bmm(weights[:, None], memory)[:, 0]
            found.append((hidden, context, weights))
        hiddens, contexts, alignment = map(torch.stack, zip(*found, strict=True))
        return hiddens, contexts, alignment

    def _decode(self, x: Tensor) -> Tensor:
        """The decoder's LSTM over (T, B, inputs)."""
        cell = self.decoder_rnn
        kept = self._dropped(x[..., :1].expand(-1, -1, cell.hidden_size), self.shape.decoder_dropout)
        hidden = cells = x.new_zeros(x.shape[1], cell.hidden_size)
        if kept is None and not x.is_cuda:  # cuDNN wants an LSTM's weights in one block, and warns of these
            weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
            return torch.lstm(x, [hidden[None], cells[None]], weights, True, 1, 0.0, self.training, False, False)[0]
        inputs = F.linear(x, cell.weight_ih, cell.bias_ih + cell.bias_hh)
        recurrent, found = Recurrent(cell.weight_hh), []
        for step, gates in enumerate(inputs.unbind(0)):
            hidden, cells = lstm(recurrent(gates, hidden), cells)
            hidden = hidden if kept is None else hidden * kept[step]
            found.append(hidden)
        return torch.stack(found)

    def _dropped(self, like: Tensor, rate: float) -> Tensor | None:
        return _kept(like, rate) if self.training and rate else None

    def begin(self, memory: Tensor) -> State:
        """The state before the first step of synthesis."""
        batch, symbols, width = memory.shape

        def zeros(*size: int) -> Tensor:
            return memory.new_zeros(batch, *size)

        attention, decoder = self.shape.attention_units, self.shape.decoder_units
        return State(
            attention=(zeros(attention), zeros(attention)),
            decoder=(zeros(decoder), zeros(decoder)),
            context=zeros(width),
            places=zeros(2, symbols),
        )

    def step(
        self, given: Tensor, state: State, memory: Tensor, keys: Tensor, matrix: Tensor, bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Frames (B, n_mels * reduction) and stop logits (B,) after ``given`` (B, prenet); ``state`` moves on."""
        state.attention = self.attention_rnn(torch.cat([given, state.context], 1), state.attention)
        weights = self.attention_layer(state.attention[0], keys, state.places, matrix, bias)
        state.places = torch.stack([weights, state.places[:, 1] + weights], 1)
        state.context = torch.bmm(weights[:, None], memory)[:, 0]
        state.decoder = self.decoder_rnn(torch.cat([state.attention[0], state.context], 1), state.decoder)
        both = torch.cat([state.decoder[0], state.context], 1)
        return self.linear_projection(both), self.gate_layer(both)[:, 0]

    @torch.no_grad()
    def infer(self, memory: Tensor, generator: torch.Generator | None, stop: Stop, limit: int) -> Decoded:
        """One sentence, each frame from the frame before it, until ``stop``, or ``limit`` in whole steps. ``memory`` (1, S, memory)."""
        keys, matrix = self.attention_layer.memory_layer(memory), self.attention_layer.location_layer.matrix()
        state, last = self.begin(memory), memory.shape[1] - 1
        made = memory.new_zeros(1, self.n_mels * self.shape.reduction)
        mels: list[Tensor] = []
        gates: list[Tensor] = []
        alignment: list[Tensor] = []
        waited = 0
        while len(mels) * self.shape.reduction < limit:
            made, gate = self.step(self.prenet(made, generator), state, memory, keys, matrix)
            weights = state.places[:, 0]
            mels.append(made)
            gates.append(gate)
            alignment.append(weights)
            waited = waited + self.shape.reduction if stop.patience and int(weights.argmax()) == last else 0
            if (stop.patience and waited >= stop.patience) or float(gate.sigmoid()) > stop.gate:
                break
        return Decoded(self._frames(torch.stack(mels)), torch.stack(gates, 1), torch.stack(alignment, 1))
