"""What checks work with: errors of broken contracts, the comparison of values, and trainers that watch what each turn changes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import PolyganError
from ..settings.trainer import TrainerSettings
from ..training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..data.source import Batch
    from ..data.stream import Streams
    from ..game.protocol import Turn
    from ..game.recipe import Recipe
    from ..training.checkpoint import Checkpoints


class ContractError(AssertionError):
    """A plugin breaks a rule of the protocol. The message names the rule and the place, and shows expected and found values."""


def broken(where: str, contract: str, expected: object, found: object) -> ContractError:
    """The error about a broken contract, in one line."""
    return ContractError(" ".join(f"{where}: {contract}; expected {expected}, found {found}".split()))


def difference(a: object, b: object, tolerance: float = 0.0) -> tuple[str, str, str] | None:
    """Where two values differ, as (place, value of a, value of b); None if they are equal.

    Tensors, arrays, lists and mappings are compared entry by entry: to the bit, or within ``tolerance`` (absolute).
    """
    if isinstance(a, (torch.Tensor, np.ndarray)) and isinstance(b, (torch.Tensor, np.ndarray)):
        return _first(torch.as_tensor(a).detach().cpu(), torch.as_tensor(b).detach().cpu(), tolerance)
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return "", f"the names {', '.join(map(str, a))}", f"the names {', '.join(map(str, b))}"
        parts = ((f".{k}", a[k], b[k]) for k in a)
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and a.__class__ is b.__class__:
        if len(a) != len(b):
            return "", f"{len(a)} entries", f"{len(b)} entries"
        parts = ((f"[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b, strict=True)))
    else:
        return None if type(a) is type(b) and a == b else ("", repr(a), repr(b))
    for place, x, y in parts:
        if found := difference(x, y, tolerance):
            return place + found[0], *found[1:]
    return None


def _first(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> tuple[str, str, str] | None:
    """The entry where two tensors differ most."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return "", f"{a.dtype} {tuple(a.shape)}", f"{b.dtype} {tuple(b.shape)}"
    if a.numel() == 0 or torch.equal(a, b):
        return None
    gap = (a.double() - b.double()).abs()
    gap = torch.where(a.isnan() & b.isnan(), 0.0, gap.nan_to_num(nan=float("inf")))
    if float(gap.max()) <= tolerance:
        return None
    at = np.unravel_index(int(gap.argmax()), a.shape) if a.dim() else ()
    return f"[{', '.join(map(str, map(int, at)))}]" if at else "", repr(a[at].item()), repr(b[at].item())


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
