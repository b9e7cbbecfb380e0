"""Checks that any recipe can be held to, for the authors of plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .errors import PolyganError
from .recipe import evaluating
from .seeding import Noise
from .settings import TrainerSettings
from .trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .domain import Batch
    from .recipe import Recipe


class ContractError(AssertionError):
    """A recipe breaks a rule of the protocol; the message says which and where."""


class RepeatedBatch:
    """A stream that gives the same batch for ever."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def batch(self, i: int) -> Batch:
        """The batch, whatever ``i``."""
        return self._batch


def check_devices(recipe: Recipe, batch: Mapping[str, Any], *, iterations: int = 0, **settings: Any) -> None:
    """Play whole iterations on torch's ``meta`` device, where what would hurt on CUDA raises.

    ``batch`` is a prepared batch of CPU tensors. Tensors of the meta device hold no numbers, so that a tensor made on
    another device meets it and raises, and so does reading a value (``.item()``, ``bool(tensor)``, ``.tolist()``), which on CUDA is a
    synchronisation inside the step. ``iterations``: 0 plays until every turn was due at least once, at least two; ``settings``
    are those of `TrainerSettings`. Raises ContractError naming the turn.
    """
    size = len(next(iter(batch.values())))
    turns = list(recipe.turns())
    last = max(turn.start + -turn.start % turn.every for turn in turns)
    steps = iterations or max(2, last + 1)
    trainer = Trainer(
        recipe,
        {"train": RepeatedBatch(dict(batch)), "held_out": RepeatedBatch(dict(batch))},
        TrainerSettings(steps=steps, batch_size=size, hang_timeout=0, **settings),
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


def check_prefix(recipe: Recipe, networks: Mapping[str, torch.nn.Module], options: Any, key: int = 0) -> None:
    """Sample i of a seed must not depend on how many samples are asked for. Raises ContractError."""
    with evaluating(networks), torch.no_grad():
        few, many = (recipe.generate(networks, n, Noise("cpu", block=64).reset(key), options).data[:3] for n in (3, 70))
    same = torch.allclose(few, many, atol=1e-5) if isinstance(few, torch.Tensor) else list(few) == list(many)
    if not same:
        raise ContractError(f"{type(recipe).__name__}.generate gives other first samples for n = 3 and n = 70")
