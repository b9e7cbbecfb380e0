"""Checks of text/seq2seq on held-out pairs: early stopping, and the game on probation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..early_stopping import Checks, follow, replace_where

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from polygan import Batch, Context

    from ..data.facts import TextInfo
    from .settings import Config


class PairChecks(Checks):
    """The checks of text/seqgan for a game without a rollout policy."""

    def __init__(self, config: Config, text: TextInfo, mean_nll: Callable[[nn.Module, Batch], Tensor]) -> None:
        """``mean_nll`` is the mean NLL, nats a token, of a batch under a policy."""
        self.config: Any = config
        self.method: Any = config
        self.text, self.mean_nll = text, mean_nll

    def batches(self) -> int:
        """Held-out batches of a check, the same each time."""
        return self.method.check_batches

    def look(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """NLL of held-out texts."""
        with ctx.fp32():
            nll = self.mean_nll(ctx["generator"], batch)
        _best(ctx).look(nll)
        return {"nll": nll}

    def compare_with_start(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """NLL of held-out texts under the policy, and under its start. Both see the same texts."""
        best = _best(ctx)
        with ctx.fp32():
            nll, start = (self.mean_nll(policy, batch) for policy in (ctx["generator"], best.policy))
        best.look(nll - start)
        return {"nll": nll, "nll_of_start": start}

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
