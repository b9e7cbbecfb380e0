"""Goals: which of the manager's directions guide a token, what the manager is praised for, and what the worker is praised for.

Both kinds of goals answer the same questions. `WindowGoals` are the equations of the paper, `SegmentGoals` the authors' program.
Features (n, L + 1, F) and directions (n, L + 1, F) have an entry for each prefix, the empty one first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from ..policy import State


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosines (...) of vectors (..., F); 0 where a vector is 0."""
    return (F.normalize(a, dim=-1) * F.normalize(b, dim=-1)).sum(-1)


class Goals(ABC):
    """How directions become goals, for texts of ``length`` tokens and goals of ``steps`` tokens."""

    unit: bool
    """Whether the worker scales its goal to length 1."""

    def __init__(self, length: int, steps: int) -> None:
        self.length, self.steps = length, steps

    @abstractmethod
    def of(self, directions: Tensor, first: Tensor) -> Tensor:
        """The goal (n, L, F) of each token. ``first`` (1, F) or (n, F) is the goal before there are directions."""

    @property
    @abstractmethod
    def last(self) -> int:
        """The number of tokens before the last direction that guides a token."""

    @abstractmethod
    def begin(self, first: Tensor) -> State:
        """What a sampler remembers of the goals before the text, from the start's goal ``first`` (n, k)."""

    @abstractmethod
    def add(self, memory: State, direction: Tensor | None, place: int) -> State:
        """The memory after ``place`` tokens with their direction (n, k), or without a direction if ``place`` is beyond `last`."""

    @abstractmethod
    def goal(self, memory: State) -> Tensor:
        """The goal (n, k) of the next token."""

    @abstractmethod
    def places(self) -> Tensor:
        """(T,) the number of tokens before each goal that the manager is judged by; a goal reaches `steps` tokens further."""

    @abstractmethod
    def agreement(self, features: Tensor, directions: Tensor, first: Tensor) -> Tensor:
        """(n, T) cosine of each goal of `places` and the change of the features over the goal's tokens."""

    @abstractmethod
    def intrinsic(self, features: Tensor, directions: Tensor, first: Tensor) -> Tensor:
        """(n, L) how well each token followed its goals, in [-1, 1]: the worker's reward."""


class WindowGoals(Goals):
    """The paper's goals: a token is guided by the sum of the last `steps` directions (Guo et al. 2018, goal embedding)."""

    unit = False

    def of(self, directions: Tensor, first: Tensor) -> Tensor:
        """Sums of `steps` directions before each token; the start's share stands for directions before the text."""
        before = (first / self.steps).expand(len(directions), -1)[:, None].expand(-1, self.steps, -1)
        known = torch.cat([before, directions[:, : self.length - 1]], 1)  # (n, steps + L - 1, F)
        return known.unfold(1, self.steps, 1).sum(-1)

    @property
    def last(self) -> int:
        """A token is guided by the directions before its own prefix's direction."""
        return self.length - 2

    def begin(self, first: Tensor) -> State:
        """The last `steps` directions and the direction of the prefix itself, which guides no token yet."""
        return tuple([first / self.steps] * (self.steps + 1))

    def add(self, memory: State, direction: Tensor | None, place: int) -> State:
        """The oldest direction makes room."""
        return (*memory[1:], memory[-1] if direction is None else direction)

    def goal(self, memory: State) -> Tensor:
        """The sum of the last `steps` directions before the prefix's own."""
        return torch.stack(memory[:-1]).sum(0)

    def places(self) -> Tensor:
        """Every place with `steps` tokens after it."""
        return torch.arange(self.length - self.steps + 1)

    def agreement(self, features: Tensor, directions: Tensor, first: Tensor) -> Tensor:
        """cos(f(t + c) - f(t), g(t)): the manager's gradient of Guo et al. 2018, without the value."""
        return cosine(features[:, self.steps :] - features[:, : -self.steps], directions[:, : -self.steps])

    def intrinsic(self, features: Tensor, directions: Tensor, first: Tensor) -> Tensor:
        """The mean over i = 1..c of cos(f(t) - f(t - i), g(t - i)), the paper's intrinsic reward; near the start, of the terms that exist."""
        total = features.new_zeros(len(features), self.length)
        for i in range(1, self.steps + 1):
            total[:, i - 1 :] += cosine(features[:, i:] - features[:, :-i], directions[:, :-i])
        count = torch.arange(1, self.length + 1, device=features.device).clamp(max=self.steps)
        return total / count


class SegmentGoals(Goals):
    """The goals of the authors' program: a goal holds for `steps` tokens and is the sum of the directions of the tokens before."""

    unit = True

    def _goals(self, directions: Tensor, first: Tensor) -> Tensor:
        """(n, segments, F): the start's goal, then the sum of the directions after each token of the segment before."""
        later = -(-self.length // self.steps) - 1
        sums = directions[:, 1 : 1 + later * self.steps].unflatten(1, (later, self.steps)).sum(2)
        return torch.cat([first.expand(len(directions), -1)[:, None], sums], 1)

    def of(self, directions: Tensor, first: Tensor) -> Tensor:
        """The goal of the segment of each token."""
        return self._goals(directions, first).repeat_interleave(self.steps, 1)[:, : self.length]

    @property
    def last(self) -> int:
        """The directions of a segment guide the next segment, so those of the last segment guide no token."""
        return (-(-self.length // self.steps) - 1) * self.steps

    def begin(self, first: Tensor) -> State:
        """The goal of this segment, and the sum of its directions so far."""
        return first, torch.zeros_like(first)

    def add(self, memory: State, direction: Tensor | None, place: int) -> State:
        """At the end of a segment the sum becomes the goal. The direction of the empty prefix belongs to no segment."""
        if direction is None or not place:
            return memory
        goal, total = memory
        total = total + direction
        return (goal, total) if place % self.steps else (total, torch.zeros_like(total))

    def goal(self, memory: State) -> Tensor:
        """The goal of the segment."""
        return memory[0]

    def places(self) -> Tensor:
        """The first token of each whole segment."""
        return torch.arange(self.length // self.steps) * self.steps

    def agreement(self, features: Tensor, directions: Tensor, first: Tensor) -> Tensor:
        """Cosine of the goal of each whole segment and the change of the features over the segment."""
        ends = features[:, :: self.steps]
        moves = ends[:, 1:] - ends[:, :-1]  # (n, whole segments, F)
        return cosine(moves, self._goals(directions, first)[:, : moves.shape[1]])

    def intrinsic(self, features: Tensor, directions: Tensor, first: Tensor) -> Tensor:
        """Cosine of the segment's goal and the change of the features from the segment's first token up to and with the token."""
        begins = features[:, : self.length : self.steps].repeat_interleave(self.steps, 1)[:, : self.length]
        return cosine(features[:, 1:] - begins, self.of(directions, first))
