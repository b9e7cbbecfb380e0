"""LeakGAN's generator: the worker and the manager with the discriminator whose features they read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..policy import Policy
from .prefixes import PrefixReader
from .sampler import LeakSampler

if TYPE_CHECKING:
    from torch import Tensor

    from ..discriminator import Discriminator
    from .goals import Goals
    from .networks import Manager, Worker


class LeakPolicy(Policy):
    """The whole generator: a worker, a manager, and a copy of the discriminator whose features leak to the manager."""

    def __init__(self, worker: Worker, manager: Manager, reader: Discriminator, goals: Goals) -> None:
        super().__init__()
        self.worker, self.manager, self.reader = worker, manager, reader
        self.goals, self.vocabulary = goals, len(worker.embedding.weight)

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n, L, V), teacher-forced; the features come without gradients."""
        directions = self.manager(prefix_features(self.reader, tokens))
        return self.worker(tokens, self.goals.of(directions, self.manager.first))

    def sampler(self) -> LeakSampler:
        """A sampler with the current weights."""
        return LeakSampler(self.worker, self.manager, self.reader, self.goals)


@torch.no_grad()
def prefix_features(reader: Discriminator, tokens: Tensor) -> Tensor:
    """Features (n, L + 1, width) of all prefixes of tokens (n, L), without gradients and dropout."""
    return PrefixReader(reader, tokens.shape[1]).read(tokens)
