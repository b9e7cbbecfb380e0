"""Playing a recipe on torch's ``meta`` device: the check that needs no accelerator."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..errors import PolyganError
from ..settings.trainer import TrainerSettings
from ..training.trainer import Trainer
from .contracts import ContractError

if TYPE_CHECKING:
    from ..data.source import Batch
    from ..game.recipe import Recipe


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
