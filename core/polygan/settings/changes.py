"""Which settings of a run differ from those it was trained with, and what each change does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..messages import cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .formats import Layer

_NOW = "holds from now on"
_BESIDE = "does not change the networks"
_ROUNDS = "holds from now on, and rounds differently"
EFFECTS = {
    "steps": "training ends there, and schedules follow",
    "batch_size": f"{_NOW}, and so does another order of the data",
    "seed": "other noise and another order of the data from now on",
    "init_from": "has no effect: only a new run reads it",
    **dict.fromkeys(("log_every", "sample_every", "save_every", "keep", "hang_timeout"), _BESIDE),
    **dict.fromkeys(("evaluate_every", "evaluate_samples", "metrics", "features"), _BESIDE),
    **dict.fromkeys(("threads", "device", "precision", "compile", "deterministic", "accumulate"), _ROUNDS),
}
"""What a change of a setting of the run does. Every other setting of the run holds from now on."""
PLACES = ("name", "runs", "recipe", "format")
"""What is no setting of how a run is trained: where the run lies, and what it is."""
RATE = "learning rate of "
"""Begins the name of a learning rate that other changes move."""
_SHAPING = ("steps", "batch_size", "accumulate")
_LONGEST = 60


@dataclass(frozen=True)
class Change:
    """One setting that differs."""

    name: str
    before: object
    after: object

    def __str__(self) -> str:
        return f"{self.name} {_shown(self.before)} -> {_shown(self.after)}"

    @property
    def effect(self) -> str:
        """What the change does to a run that goes on."""
        if self.name.startswith(RATE):
            return "at this step; its schedule follows the changed settings"
        if self.name.startswith("model."):
            return f"{_NOW}; optimizers and schedules take it over"
        return EFFECTS.get(self.name, _NOW)


def changes(before: Layer, after: Layer, without: Sequence[str] = ()) -> list[Change]:
    """The settings that differ between two resolved sets of settings; names that only one of them has are left out."""
    old, new = dict(flat(before)), dict(flat(after))
    names = [name for name in old if name in new and name not in without]
    return [Change(n, old[n], new[n]) for n in names if old[n] != new[n] and repr(old[n]) != repr(new[n])]


def reach_optimizers(found: Sequence[Change]) -> bool:
    """Whether any of the changes may change the values that optimizers and schedules are built with."""
    return any(change.name in _SHAPING or change.name.startswith("model.") for change in found)


def trained_with(training: Layer, otherwise: Layer) -> Layer:
    """The settings in the training state of a checkpoint; ``otherwise`` where an earlier polygan saved none."""
    found = training.get("settings")
    return found if isinstance(found, Mapping) else otherwise


def flat(settings: Mapping[Any, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Each setting by its dotted name; a group without settings counts as one."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: object) -> str:
    if isinstance(value, str):
        text = value or "''"
    elif isinstance(value, float):
        text = f"{value:g}" if float(f"{value:g}") == value else repr(value)
    else:
        text = str(value)
    return cut(text, _LONGEST)
