"""Policies as one step: a token and a state go in, the next token's logits and the new state come out, all of fixed sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..leaking.goals import WindowGoals
from ..leaking.policy import LeakPolicy
from ..policy import LSTMPolicy

if TYPE_CHECKING:
    from ..policy import Policy


class Step(Protocol):
    """A policy's step. A text begins at place 0 with the start token; the state that goes in there is not read."""

    size: int
    """Numbers in the state of a text."""

    def __call__(
        self, token: Tensor, place: Tensor, state: Tensor, classes: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits (n, V) and the new state, from the token before (n,), the tokens drawn so far (), and the state (n, size)."""
        ...


def step_of(policy: Policy, length: int) -> nn.Module:
    """The step of a policy of texts of ``length`` tokens: a `Step`."""
    if isinstance(policy, LSTMPolicy):
        return _LSTM(policy)
    if isinstance(policy, LeakPolicy):
        return _Leak(policy)
    return _Replay(policy, length)


class _LSTM(nn.Module):
    """The state holds the hidden and the cell states."""

    def __init__(self, policy: LSTMPolicy) -> None:
        super().__init__()
        self.policy = policy
        self.shape = (2, policy.layers, policy.hidden_dim)
        self.size = 2 * policy.layers * policy.hidden_dim

    def forward(
        self, token: Tensor, place: Tensor, state: Tensor, classes: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        policy, first = self.policy, 0.0
        if policy.first is not None and classes is not None:
            first = policy.first(classes)
        state = torch.where(place == 0, first, state)
        h, c = state.unflatten(1, self.shape).permute(1, 2, 0, 3).unbind()  # (layers, n, hidden)
        given = policy.embedding(token)[:, None] * policy.scale
        hidden, (h, c) = policy.lstm(given, (h.contiguous(), c.contiguous()))
        weight, bias = policy.embedding.weight, policy.bias
        hidden = hidden[:, 0] if policy.narrow is None else policy.narrow(hidden[:, 0])
        logits = F.linear(hidden, weight, bias) if policy.head is None else policy.head(hidden)
        return logits, torch.stack([h, c]).permute(2, 0, 1, 3).flatten(1)


class _Leak(nn.Module):
    """The state holds the tokens so far, the worker's and the manager's states, and the goals that are still in use.

    The discriminator reads the whole beginning in each step. A direction beyond the last that guides a token is computed too.
    """

    def __init__(self, policy: LeakPolicy) -> None:
        super().__init__()
        self.policy, goals = policy, policy.goals
        self.length, self.steps, self.windowed = goals.length, goals.steps, isinstance(goals, WindowGoals)
        width = policy.worker.projection.shape[1]
        worker, manager = policy.worker.lstm.hidden_size, policy.manager.lstm.hidden_size
        memory = (goals.steps + 1 if self.windowed else 2) * width
        self.parts = [self.length, worker, worker, manager, manager, memory]
        self.size = sum(self.parts)

    def forward(
        self, token: Tensor, place: Tensor, state: Tensor, classes: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        worker, manager = self.policy.worker, self.policy.manager
        state = torch.where(place == 0, 0.0, state)
        tokens, h, c, manager_h, manager_c, memory = state.split(self.parts, 1)
        places = torch.arange(self.length)
        tokens = torch.where(places == place - 1, token[:, None].to(tokens.dtype), tokens)
        padding = len(self.policy.reader.embedding.weight) - 1
        features = self.policy.reader.features(torch.where(places < place, tokens, padding).long())
        output, (manager_h, manager_c) = manager.lstm(features[:, None], (manager_h[None], manager_c[None]))
        direction = F.normalize(manager.head(output[:, 0]), dim=1) @ worker.projection
        memory, goal = self._guided(memory, direction, (manager.first @ worker.projection), place)
        hidden, (h, c) = worker.lstm(worker.embedding(token)[:, None], (h[None], c[None]))
        logits = worker.logits(hidden[:, 0], goal)
        return logits, torch.cat([tokens, h[0], c[0], manager_h[0], manager_c[0], memory], 1)

    def _guided(self, memory: Tensor, direction: Tensor, first: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """`Goals.add` and `Goals.goal`, with a place that the graph does not know."""
        if self.windowed:
            kept = memory.unflatten(1, (self.steps + 1, -1))
            kept = torch.where(place == 0, first[:, None] / self.steps, kept)
            kept = torch.cat([kept[:, 1:], direction[:, None]], 1)
            return kept.flatten(1), kept[:, :-1].sum(1)
        goal, total = memory.chunk(2, 1)
        goal = torch.where(place == 0, first, goal)
        total = torch.where(
            place == 0, 0.0, total + direction
        )  # the direction of the empty prefix belongs to no segment
        ends = (place > 0) & (place % self.steps == 0)
        goal, total = torch.where(ends, total, goal), torch.where(ends, 0.0, total)
        return torch.cat([goal, total], 1), goal


class _Replay(nn.Module):
    """The state holds the tokens so far, which the policy reads again in each step: of any policy."""

    def __init__(self, policy: Policy, length: int) -> None:
        super().__init__()
        self.policy, self.size = policy, length
        for part in policy.modules():
            if isinstance(part, PreTrainedModel):
                part.set_attn_implementation("eager")  # ONNX has no attention whose heads share keys

    def forward(
        self, token: Tensor, place: Tensor, state: Tensor, classes: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        state = torch.where(place == 0, 0.0, state)
        tokens = torch.where(torch.arange(self.size) == place - 1, token[:, None].to(state.dtype), state)
        logits = self.policy(tokens.long(), classes)
        return logits.index_select(1, place.view(1))[:, 0], tokens
