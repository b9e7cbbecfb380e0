"""Checks of LeakGAN on held-out text: the best generator of pretraining, and what the game does to its start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..early_stopping import Checks, follow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from polygan import Batch, Context

    from ..data.facts import TextInfo
    from ..early_stopping import Best
    from .settings import Config


class LeakChecks(Checks):
    """The checks of text/seqgan for a generator of three networks. They tell of a game that loses, and undo nothing."""

    def __init__(self, config: Config, text: TextInfo, nats: Callable[[nn.Module, Batch], Tensor]) -> None:
        """``nats`` gives the nats (n, L) of a batch's tokens under a generator."""
        self.config: Any = config
        self.method: Any = config
        self.text, self.nats = text, nats

    def start(self, ctx: Context) -> Best:
        """The snapshot that the game starts from: the best generator of all checks, or the last generator without checks."""
        best: Any = ctx.players["mle"].module
        if not self.method.check_every:
            follow(best.policy, ctx.players["generator"].module, 0.0)
        best.ready.fill_(1)
        return best

    def undo(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Say whether the game lost more than the tolerance; no value is read from the device."""
        best: Any = ctx.players["mle"].module
        return {"worse": (best.mean() > self.config.tolerance).float()}

    def remarks(self, values: Mapping[str, float]) -> Sequence[str]:
        """What the console says of logged values: a sentence if a check found the game worse than the tolerance."""
        if not values.get("probation/worse"):
            return ()
        return (
            "the game made held-out text less likely than its start did, by more than "
            f"{self.config.tolerance:g} nats a token; `polygan generate RUN --of mle` generates from the start",
        )
