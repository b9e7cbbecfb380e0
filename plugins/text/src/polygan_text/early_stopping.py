"""Checks on held-out text: early stopping of maximum likelihood, and the game on probation against its start."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polygan import Turn

from .policy import without_dropout
from .rollout import scored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from polygan import Batch, Context

    from .data.facts import TextInfo
    from .settings import Config


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

    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
        self.policy = copy.deepcopy(policy)
        for name, value in (("ready", 0.0), ("lowest", torch.inf), ("total", 0.0), ("count", 0.0)):
            self.register_buffer(name, torch.tensor(value))

    def look(self, nll: Tensor) -> None:
        """Add the NLL of one held-out batch."""
        self.total += nll
        self.count += 1

    def mean(self) -> Tensor:
        """The mean of what `look` was given."""
        return self.total / self.count

    def forget(self) -> None:
        """Begin a new mean."""
        self.total.zero_()
        self.count.zero_()

    def compare(self, policy: nn.Module) -> None:
        """Keep the policy if the mean NLL of the batches looked at is the lowest so far; no value is read from the device."""
        nll = self.mean()
        better = nll < self.lowest
        replace_where(better, self.policy, policy)
        self.lowest.copy_(torch.where(better, nll, self.lowest))  # an NLL that is not finite is never better
        self.ready.fill_(1)
        self.forget()


def replace_where(condition: Tensor, policy: nn.Module, other: nn.Module) -> None:
    """The policy's parameters become the other's where the condition, a tensor of one bool, is true."""
    for mine, its in zip(policy.parameters(), other.parameters(), strict=True):
        mine.copy_(torch.where(condition, its, mine))


def follow(follower: nn.Module, leader: nn.Module, kept: float) -> None:
    """The follower's parameters become ``kept`` times themselves plus ``1 - kept`` times the leader's."""
    for mine, its in zip(follower.parameters(), leader.parameters(), strict=True):
        mine.lerp_(its, 1 - kept)


class Checks:
    """The observing turns on held-out text. The snapshot ``mle`` keeps their sums, and the trainer averages it over processes."""

    batch_size: int = 64
    """Texts of a held-out batch."""

    def __init__(self, config: Config, text: TextInfo, nats: Callable[[nn.Module, Batch], Tensor]) -> None:
        """``nats`` gives the nats (n, L) of a batch's tokens under a policy."""
        self.config, self.method, self.text, self.nats = config, config.method(text), text, nats

    def batches(self) -> int:
        """Held-out batches of a check, the same each time."""
        texts = self.method.check_texts
        return -(-texts // self.batch_size) if texts else self.method.check_batches

    def of_likelihood(self, end: int) -> list[Turn]:
        """The checks of maximum likelihood, which ends at step ``end``; none without `check_every`."""
        every, repeat = self.method.check_every, self.batches()
        if not every:
            return []
        turns = [
            Turn("held_out", (), self.look, data="held_out", every=every, repeat=repeat, stop=end + 1, anew=True),
            Turn("keep", (), self.keep_best, data=None, every=every, stop=end + 1),
        ]
        if end % every:  # check the last policy too
            turns += [
                Turn("held_out", (), self.look, data="held_out", repeat=repeat, start=end, stop=end + 1, anew=True),
                Turn("keep", (), self.keep_best, data=None, start=end, stop=end + 1),
            ]
        return turns

    def of_game(self, begin: int) -> list[Turn]:
        """The checks of the game, which begins at step ``begin``; none without `check_every`."""
        every, repeat = self.method.check_every, self.batches()
        if not every:
            return []
        return [
            Turn("clear", (), self.clear, data=None, every=every, start=begin),
            Turn(
                "held_out",
                (),
                self.compare_with_start,
                data="held_out",
                every=every,
                repeat=repeat,
                start=begin,
                anew=True,
            ),
            Turn("probation", (), self.undo, data=None, every=every, start=begin),
        ]

    def mask(self, batch: Batch) -> Tensor:
        """(n, L) 1.0 for the tokens that a check counts."""
        return scored(batch["tokens"], self.text)

    def look(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """NLL of held-out sentences, and the standard error of the whole check's NLL."""
        with ctx.fp32(), without_dropout(ctx["generator"]):
            nats = self.nats(ctx["generator"], batch)
        nll = self._mean(ctx, nats, self.mask(batch))
        _best(ctx).look(nll)
        return {"nll": nll}

    def _mean(self, ctx: Context, nats: Tensor, mask: Tensor) -> Tensor:
        """The mean of nats (n, L) over the tokens in the mask; the standard error over texts of the whole check is observed."""
        mean = (nats * mask).sum() / mask.sum()
        off = ((nats - mean) * mask).sum(1)  # of each text: the error of a ratio of sums (Cochran 1977, section 2.11)
        parts = self.batches() * ctx.noise.parts
        ctx.observe("nll_error", off.square().sum().sqrt() / mask.sum() / parts**0.5)
        return mean

    def keep_best(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Early stopping: the snapshot becomes the policy if the policy's held-out NLL is the lowest so far."""
        _best(ctx).compare(ctx.players["generator"].module)
        return {}

    def begin(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Start the adversarial game from the best policy of maximum likelihood; the paper starts from the last policy."""
        best, generator = _best(ctx), ctx.players["generator"].module
        if self.method.check_every:
            follow(generator, best.policy, 0.0)
        else:
            follow(best.policy, generator, 0.0)
        best.ready.fill_(1)
        if "rollout" in ctx.players:
            follow(ctx.players["rollout"].module, generator, 0.0)
        return {}

    def clear(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Forget the sums of earlier checks."""
        _best(ctx).forget()
        return {}

    def compare_with_start(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """NLL of held-out sentences under the generator, and under its start. Both see the same sentences."""
        best, mask = _best(ctx), self.mask(batch)
        with ctx.fp32(), without_dropout(ctx["generator"]), without_dropout(best):
            nats, its = self.nats(ctx["generator"], batch), self.nats(best.policy, batch)
        nll, start = self._mean(ctx, nats, mask), (its * mask).sum() / mask.sum()
        best.look(nll - start)
        return {"nll": nll, "nll_of_start": start}

    def undo(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Put the start in the generator's place if the game lost more than the tolerance; no value is read from the device."""
        best = _best(ctx)
        worse = best.mean() > self.config.tolerance
        if self.config.probation == "undo":
            for name in {"generator", "rollout"} & ctx.players.keys():
                replace_where(worse, ctx.players[name].module, best.policy)
        return {"worse": worse.float()}

    def remarks(self, values: Mapping[str, float]) -> Sequence[str]:
        """What the console says of logged values: a sentence if a check found the game worse than the tolerance."""
        if not values.get("probation/worse"):
            return ()
        lost = f"the game made held-out text less likely than its start did, by more than {self.config.tolerance:g} nats a token"
        if self.config.probation == "undo":
            return (
                f"{lost}, so the generator went back to the start; a lower --model.adversarial_rate or more "
                "--model.pretrain_steps may help",
            )
        return (f"{lost}; `polygan generate RUN --of mle` generates from the start",)


def _best(ctx: Context) -> Any:
    return ctx.players["mle"].module
