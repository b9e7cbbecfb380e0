"""Checks of text/seq2seq on held-out pairs: early stopping, and the game on probation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..early_stopping import Checks
from ..rollout import valid
from .sources import trimmed_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from polygan import Batch

    from ..data.facts import TextInfo
    from .settings import Config


class PairChecks(Checks):
    """The checks of text/seqgan for a game without a rollout policy."""

    def __init__(self, config: Config, text: TextInfo, nats: Callable[[nn.Module, Batch], Tensor]) -> None:
        """``nats`` gives the nats (n, L) of a batch's tokens under a policy."""
        self.config: Any = config
        self.method: Any = config
        self.text, self.nats = text, nats

    def mask(self, batch: Batch) -> Tensor:
        """(n, L') 1.0 for known words, and for unknown words that stand in the source; without padding."""
        batch = trimmed_batch(batch)
        copied = valid(batch["tokens"], self.text["eos"]) * (batch["copied"] >= 0)
        return torch.maximum(super().mask(batch), copied)
