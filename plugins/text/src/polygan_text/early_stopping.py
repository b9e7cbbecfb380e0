"""Early stopping of maximum likelihood: the best policy so far; and how one policy follows another."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .policy import Policy


class Best(nn.Module):
    """The best policy of maximum likelihood: the snapshot with the lowest held-out NLL so far."""

    ready: Tensor
    """1 once there is a snapshot."""
    lowest: Tensor
    """The NLL of the snapshot, nats a token."""
    total: Tensor
    """Sum of the NLLs of the batches that were looked at since the last comparison."""
    count: Tensor
    """Number of these batches."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = copy.deepcopy(policy)
        for name, value in (("ready", 0.0), ("lowest", torch.inf), ("total", 0.0), ("count", 0.0)):
            self.register_buffer(name, torch.tensor(value))

    def look(self, nll: Tensor) -> None:
        """Add the NLL of one held-out batch."""
        self.total += nll
        self.count += 1

    def compare(self, policy: nn.Module) -> None:
        """Keep the policy if the mean NLL of the batches looked at is the lowest so far; no value is read from the device."""
        nll = self.total / self.count
        better = nll < self.lowest
        for mine, its in zip(self.policy.parameters(), policy.parameters(), strict=True):
            mine.copy_(torch.where(better, its, mine))
        self.lowest.copy_(torch.where(better, nll, self.lowest))  # an NLL that is not finite is never better
        self.ready.fill_(1)
        self.total.zero_()
        self.count.zero_()


def follow(follower: nn.Module, leader: nn.Module, kept: float) -> None:
    """The follower's parameters become ``kept`` times themselves plus ``1 - kept`` times the leader's."""
    for mine, its in zip(follower.parameters(), leader.parameters(), strict=True):
        mine.lerp_(its, 1 - kept)
