"""A game that stops by itself: held-out checks keep the last network that is good enough."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

NEVER = -1.0
"""Stands for a step that did not happen."""


class Stop(nn.Module):
    """What the checks of a game found. Everything is a buffer, so nothing is read from the device and checkpoints hold it all."""

    made: Tensor
    """Sum of the errors of what was made, since the last decision."""
    limit: Tensor
    """Sum of the errors that were allowed, since the last decision."""
    worse: Tensor
    """Decisions in a row that found the error too large."""
    stopped: Tensor
    """1 once the game has stopped."""
    kept: Tensor
    """The last step that was good enough."""
    best: Tensor
    """The smallest error so far, as a share of the allowed one."""

    def __init__(self) -> None:
        super().__init__()
        for name, value in (("made", 0.0), ("limit", 0.0), ("worse", 0.0), ("stopped", 0.0), ("kept", NEVER)):
            self.register_buffer(name, torch.tensor(value))
        self.register_buffer("best", torch.tensor(math.inf))

    def look(self, made: Tensor, limit: Tensor) -> None:
        """Add the error of one held-out batch, and the error that is allowed for the same batch."""
        self.made += made
        self.limit += limit

    def decide(self, step: int, patience: int) -> Tensor:
        """Whether the network of ``step`` is good enough; never after a stop. ``patience`` decisions against it stop the game."""
        good = (self.made < self.limit) & (self.stopped == 0)  # an error that is not finite is never good
        self.worse.copy_(torch.where(good, 0.0, self.worse + 1))
        self.stopped.copy_(torch.maximum(self.stopped, (self.worse >= patience).float()))
        self.kept.copy_(torch.where(good, float(step), self.kept))
        self._forget()
        return good

    def improve(self) -> Tensor:
        """Whether the network has the smallest error so far. Nothing stops."""
        share = self.made / self.limit
        better = share < self.best  # never for an error that is not finite
        self.best.copy_(torch.where(better, share, self.best))
        self._forget()
        return better

    def _forget(self) -> None:
        self.made.zero_()
        self.limit.zero_()


def replace_where(condition: Tensor, network: nn.Module, other: nn.Module) -> None:
    """The weights of ``network`` become those of ``other`` where the condition, a tensor of one bool, is true."""
    for mine, its in zip(network.state_dict().values(), other.state_dict().values(), strict=True):
        mine.copy_(torch.where(condition, its, mine))


def replace(network: nn.Module, other: nn.Module) -> None:
    """The weights of ``network`` become those of ``other``."""
    for mine, its in zip(network.state_dict().values(), other.state_dict().values(), strict=True):
        mine.copy_(its)
