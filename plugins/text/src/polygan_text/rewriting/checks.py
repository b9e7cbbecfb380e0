"""Checks of text/seq2seq on held-out pairs: early stopping, and the game on probation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..early_stopping import Checks, follow, replace_where
from ..rollout import valid
from .sources import trimmed_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from polygan import Batch, Context

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

    def begin(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Start the game from the best policy of maximum likelihood; without checks, from the last policy."""
        best, generator = _best(ctx), ctx.players["generator"].module
        if self.method.check_every:
            follow(generator, best.policy, 0.0)
        else:
            follow(best.policy, generator, 0.0)
        best.ready.fill_(1)
        return {}

    def undo(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Put the start in the policy's place if the game lost more than the tolerance; no value is read from the device."""
        best = _best(ctx)
        worse = best.mean() > self.config.tolerance
        if self.config.probation == "undo":
            replace_where(worse, ctx.players["generator"].module, best.policy)
        return {"worse": worse.float()}


def _best(ctx: Context) -> Any:
    return ctx.players["mle"].module
