"""Rewards of LeakGAN's manager: values of prefixes as ranks, and the values that belong to each goal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def ranked(values: Tensor, delta: float, real: Tensor | None = None) -> Tensor:
    """Values (n, K) as sigmoid(delta * (rank / N - 0.5)), ranks 1..N counted upwards in each column (Guo et al. 2018, bootstrapped rescaled activation).

    Mean and spread of a column are then the same in every batch. ``real`` (m,) are scores of real texts that are ranked with each
    column, so that N = n + m and the rewards show how far the texts are from real ones. Equal values are ranked in their order.
    """
    n = len(values)
    if real is not None:
        values = torch.cat([values, real[:, None].expand(-1, values.shape[1])])
    ranks = values.argsort(dim=0, stable=True).argsort(dim=0) + 1
    return (delta * (ranks[:n] / len(values) - 0.5)).sigmoid()


def of_goals(values: Tensor, places: Tensor, steps: int, every: int) -> Tensor:
    """(n, T) the value after the tokens of each goal, from ``values`` (n, K) of prefixes of ``every``, 2 ``every``, ... tokens.

    The last column is the value of the whole text. A goal takes the first column whose prefix holds all of the goal's tokens.
    """
    column = (places + steps + every - 1) // every - 1
    return values[:, column.clamp(max=values.shape[1] - 1).to(values.device)]
