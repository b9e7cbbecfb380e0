"""A sampler of LeakGAN's generator: one step reads a token, asks the manager for a goal, and gives the worker's logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from .prefixes import PrefixReader

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..discriminator import Discriminator
    from ..policy import State
    from .goals import Goals
    from .networks import Manager, Worker


class LeakSampler:
    """A sampler (`polygan_text.policy.Sampler`) that keeps what it knows of each text, so that no prefix is read twice.

    The state holds the tokens so far (n, t), the worker's and the manager's hidden and cell states, the sums of the discriminator's
    open windows, and the projected directions. Goals enter the worker by a linear projection, so directions are projected at once.
    The manager rests where no later token needs its direction.
    """

    def __init__(self, worker: Worker, manager: Manager, reader: Discriminator, goals: Goals) -> None:
        self.worker, self.manager, self.goals = worker, manager, goals
        self.prefixes = PrefixReader(reader, goals.length)
        self.table = _inputs(worker.lstm, worker.embedding.weight)  # (V, 4 hidden)
        self.reading = 5 + 1 + len(self.prefixes.windows)  # the first entry of the memory of goals

    def start(self, n: int, labels: Tensor | None = None) -> State:
        """The state after the start token of ``n`` texts."""
        return self.begin(n)[0]

    def begin(self, n: int) -> tuple[State, Tensor]:
        """The state of ``n`` texts after the start token, and the features (n, width) of the empty text."""
        worker, manager = self.worker, self.manager
        tokens = torch.full((n,), worker.start_token, device=self.table.device)
        own, others = (self.table.new_zeros(n, x.lstm.hidden_size) for x in (worker, manager))
        memory = self.goals.begin((manager.first @ worker.projection).expand(n, -1))
        state = (tokens[:, None][:, :0], own, own, others, others, *self.prefixes.start(n), *memory)
        return self._after(state, tokens, read=True)

    def advance(self, state: State, tokens: Tensor) -> State:
        """The state after one more token of each text, ``tokens`` (n,)."""
        return self.step(state, tokens)[0]

    def step(self, state: State, tokens: Tensor, *, read: bool = False) -> tuple[State, Tensor]:
        """`advance`, and the features (n, width) of the texts so far if ``read``; else features that may be empty."""
        place = state[0].shape[1]
        seen = torch.cat([state[0], tokens[:, None]], 1)
        prefix = self.prefixes.advance(state[5 : self.reading], place, tokens)
        return self._after((seen, *state[1:5], *prefix, *state[self.reading :]), tokens, read=read)

    def _after(self, state: State, tokens: Tensor, *, read: bool) -> tuple[State, Tensor]:
        """The manager's and the worker's step after the tokens have been read."""
        seen, h, c, manager_h, manager_c, *rest = state
        place, windows = seen.shape[1], self.reading - 5
        prefix, memory = tuple(rest[:windows]), tuple(rest[windows:])
        asked = place <= self.goals.last
        features = self.prefixes.features(prefix, place) if asked or read else h[:, :0]
        direction = None
        if asked:
            manager_h, manager_c = _cell(self.manager.lstm, _inputs(self.manager.lstm, features), manager_h, manager_c)
            direction = F.normalize(self.manager.head(manager_h), dim=1) @ self.worker.projection
        if place < self.goals.length:
            memory = self.goals.add(memory, direction, place)
            h, c = _cell(self.worker.lstm, self.table[tokens], h, c)
        return (seen, h, c, manager_h, manager_c, *prefix, *memory), features

    def logits(self, state: State) -> Tensor:
        """Logits (n, V) of the next token."""
        return self.worker.logits(state[1], self.goals.goal(state[self.reading :]))


def _inputs(lstm: nn.LSTM, given: Tensor) -> Tensor:
    """What inputs (n, width) add to the gates (n, 4 hidden) of an LSTM of one layer, with both biases."""
    weight, _, bias, more = lstm.all_weights[0]
    return torch.addmm(bias + more, given, weight.t())


def _cell(lstm: nn.LSTM, inputs: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step of an LSTM of one layer; torch's order of the gates is input, forget, cell, output."""
    i, f, g, o = torch.addmm(inputs, h, lstm.all_weights[0][1].t()).chunk(4, 1)
    c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
    return o.sigmoid() * c.tanh(), c
