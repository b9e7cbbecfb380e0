"""LeakGAN's networks: the manager sets goals from the discriminator's features, the worker writes tokens towards them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

_STD = 0.1  # of every parameter at the start, as in the authors' program


class Manager(nn.Module):
    """An LSTM from features of prefixes to directions in the space of these features (Guo et al. 2018, the manager)."""

    def __init__(self, width: int, hidden_dim: int) -> None:
        """``width`` is the number of features."""
        super().__init__()
        self.lstm = nn.LSTM(width, hidden_dim, batch_first=True)
        self.head = nn.Linear(hidden_dim, width)
        self.first = nn.Parameter(torch.empty(1, width))
        _draw(self)

    def forward(self, features: Tensor) -> Tensor:
        """Directions (n, T, width) of length 1 from features (n, T, width) of growing prefixes, the empty one first."""
        return F.normalize(self.head(self.lstm(features)[0]), dim=2)


class Worker(nn.Module):
    """An LSTM over tokens whose output is a vector for each word; a word's logit is the product with the projected goal."""

    def __init__(
        self,
        vocabulary: int,
        width: int,
        *,
        embedding_dim: int = 32,
        hidden_dim: int = 32,
        goal_dim: int = 16,
        start_token: int = 0,
        unit: bool = False,
    ) -> None:
        """``width`` is the number of features of a goal; ``unit``: the projected goal is scaled to length 1."""
        super().__init__()
        self.start_token, self.unit = start_token, unit
        self.embedding = nn.Embedding(vocabulary, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
        self.projection = nn.Parameter(torch.empty(width, goal_dim))
        self.output = nn.Parameter(torch.empty(vocabulary, goal_dim, hidden_dim + 1))  # the last column is the bias
        _draw(self)

    def forward(self, tokens: Tensor, goals: Tensor) -> Tensor:
        """Logits (n, L, V) of tokens (n, L), each given the tokens before it and its goal (n, L, width)."""
        given = F.pad(tokens[:, :-1], (1, 0), value=self.start_token)
        hidden, _ = self.lstm(self.embedding(given))
        logits = self.logits(hidden.flatten(0, 1), (goals @ self.projection).flatten(0, 1))
        return logits.view(*tokens.shape, -1)

    def logits(self, hidden: Tensor, goal: Tensor) -> Tensor:
        """Logits (n, V) from the LSTM's output (n, hidden) and the projected goal (n, goal_dim).

        The vector of each word is never formed: its product with the goal is one product of (n, goal_dim * (hidden + 1)) numbers.
        """
        goal = F.normalize(goal, dim=1) if self.unit else goal
        both = goal[:, :, None] * F.pad(hidden, (0, 1), value=1.0)[:, None, :]  # (n, goal_dim, hidden + 1)
        return both.flatten(1) @ self.output.flatten(1).t()


def _draw(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=_STD)
