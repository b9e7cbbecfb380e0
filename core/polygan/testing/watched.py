"""Trainers of checks: one that watches which players each turn changes, and one on torch's ``meta`` device."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..errors import PolyganError
from ..settings.trainer import TrainerSettings
from ..training.trainer import Trainer
from .contracts import ContractError, difference

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from ..data.source import Batch
    from ..data.stream import Streams
    from ..game.protocol import Turn
    from ..game.recipe import Recipe
    from ..training.checkpoint import Checkpoints


class Watched(Trainer):
    """A trainer that records what each turn does to each player."""

    def __init__(
        self,
        recipe: Recipe,
        streams: Streams,
        settings: TrainerSettings,
        *,
        prepare: Callable[[Batch], Batch],
        checkpoints: Checkpoints | None = None,
    ) -> None:
        super().__init__(recipe, streams, settings, prepare=prepare, checkpoints=checkpoints)
        self.leaks: list[tuple[str, str, str, str]] = []
        """Changes of players that do not act: (place, broken contract, expected, found)."""
        self.reached: dict[tuple[str, str], float] = {
            (turn.name, player): 0.0 for turn in self.turns for player in turn.players
        }
        """The largest gradient norm of each player in each turn, by (turn, player)."""
        for name, actor in self.actors.items():
            setattr(actor, "update", self._watched(name, actor.update))  # noqa: B010 - a method is replaced on purpose

    def _watched(self, name: str, update: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def watch(gradients: list[torch.Tensor], scale: torch.Tensor | None) -> torch.Tensor:
            norm = update(gradients, scale)
            key = (self.context.turn, name)
            self.reached[key] = max(self.reached[key], float(norm))
            return norm

        return watch

    def play(self, turn: Turn, index: int, repeat: int, caches: list[dict[str, Any]]) -> None:
        """Play a turn, then compare the players that do not act with their state before the turn."""
        idle = {n: a for n, a in self.actors.items() if n not in turn.players and a.optimizer is not None}
        before = {n: {k: p.detach().clone() for k, p in a.module.named_parameters()} for n, a in idle.items()}
        super().play(turn, index, repeat, caches)
        for name, actor in idle.items():
            where = f"turn {turn.name!r} at step {self.step}, {name}"
            now = dict(actor.module.named_parameters())
            if moved := difference(before[name], {k: p.detach() for k, p in now.items()}):
                contract = "changed a parameter of a player that does not act"
                self.leaks.append((where + moved[0], contract, moved[1], moved[2]))
            for key, p in now.items():
                if p.grad is not None and bool(p.grad.abs().max() > 0):
                    norm = f"one of norm {float(p.grad.norm()):.3g}"
                    self.leaks.append((f"{where}.{key}", "a gradient reached a player that does not act", "none", norm))
                    break


def played(trainer: Watched, until: int = 0) -> Watched:
    """The trainer after ``until`` steps; 0: after all of its steps."""
    while trainer.step < (until or trainer.settings.steps):
        trainer.iterate()
    return trainer


def state(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Copies of every parameter and buffer of the players and of their averages."""
    networks = {f"{n}.ema": m for n, m in trainer.networks().items() if m is not trainer.actors[n].module}
    networks |= trainer.networks(averaged=False)
    return {f"{n}.{k}": v.detach().clone() for n, m in networks.items() for k, v in m.state_dict().items()}


class RepeatedBatch:
    """A stream whose batches are all the same."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def batch(self, i: int) -> Batch:
        """The batch, for any ``i``."""
        return self._batch


def check_devices(recipe: Recipe, batch: Batch, *, iterations: int = 0, **settings: object) -> None:
    """Play whole iterations on torch's ``meta`` device, where mistakes that show only on CUDA raise.

    ``batch`` is a prepared batch of CPU tensors. A tensor on another device than ``meta`` raises when the two meet. Reading
    a value raises too (``.item()``, ``bool(tensor)``, ``.tolist()``); on CUDA such a read is a synchronisation inside the step.
    ``iterations``: 0 plays until every turn was due at least once, and at least twice. ``settings`` are fields of
    `TrainerSettings`. Raises ContractError with the name of the turn.
    """
    size = len(next(iter(batch.values())))
    turns = list(recipe.turns())
    last = max(turn.start + -turn.start % turn.every for turn in turns)
    steps = iterations or max(2, last + 1)
    run = TrainerSettings(steps=steps, batch_size=size, hang_timeout=0)
    trainer = Trainer(
        recipe,
        {name: RepeatedBatch(dict(batch)) for turn in turns for name in ("train", *turn.streams)},
        dataclasses.replace(run, **settings),
        device="meta",
    )
    try:
        for _ in range(steps):
            trainer.iterate()
    except PolyganError:
        raise
    except (RuntimeError, NotImplementedError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ContractError(
            f"turn {trainer.context.turn!r} of {type(recipe).__name__} at step {trainer.step} made a tensor on a fixed device or "
            f"read a value inside the step: {first}"
        ) from error
