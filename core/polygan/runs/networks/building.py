"""Builds the networks of a run from its saved settings and the facts of its data; finds the checkpoint with the best score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import ConfigError, one_line
from ...plugins import find, get_catalogue
from ...seeding import preserved_generators, seed_everything
from ...training.checkpoint import Checkpoints
from ..assembly import kinds, saved_settings
from ..exported import read_facts
from ..folder import run_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from ...game.recipe import Recipe
    from ...settings.parser import Settings

# What Python and torch raise where a recipe is built from values that do not belong to it.
_STRANGE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError, MemoryError)


def built(
    kind: type[Recipe[Any]], settings: Settings, info: Mapping[str, Any], path: Path
) -> tuple[Recipe[Any], dict[str, nn.Module]]:
    """The recipe and its networks. Raises ConfigError where the settings or the facts of the data fit no such networks."""
    try:
        with preserved_generators():
            seed_everything(settings.run.seed)
            recipe = kind(settings.model, info)
            return recipe, dict(recipe.networks())
    except _STRANGE as error:
        raise ConfigError(
            f"{path}: {settings.recipe} cannot be built from its settings and data facts ({one_line(error)}); restore "
            "config.yaml and data.json"
        ) from error


def recipe_of(path: str | Path) -> type[Recipe[Any]]:
    """The class of the recipe of a run or of an exported model."""
    path = find(path).path
    name = read_facts(path)["recipe"] if path.suffix == ".safetensors" else saved_settings(run_folder(path), {}).recipe
    return kinds(name, get_catalogue())[0]


def best_step(folder: Path) -> int:
    """The step of the run's checkpoint with the best score. Raises ConfigError if no checkpoint has a score."""
    entries = Checkpoints(folder / "checkpoints").entries()
    scored = [(entry.score, -entry.step) for entry in entries if entry.score is not None and not entry.foreign]
    if not scored:
        raise ConfigError(
            f"of = 'best': no checkpoint of {folder} has a score; train with --evaluate_every N, or name a checkpoint with --step"
        )
    return -min(scored)[1]
