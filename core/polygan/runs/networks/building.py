"""What networks are built from: the settings and facts of a saved run, and the settings that a new run takes over from its start."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError, PolyganError, one_line
from ...messages import say
from ...plugins import find, get_catalogue
from ...seeding import preserved_generators, seed_everything
from ...settings.changes import changes
from ...settings.words import nested
from ...training.checkpoint import Checkpoints
from ..assembly import kinds, prepared, resolve, saved_settings
from ..exported import read_facts
from ..folder import run_folder
from .class_rows import networks_for
from .starting import origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from ...game.recipe import AnyRecipe, Recipe
    from ...settings.parser import Settings
    from .starting import Origin

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


def resolve_new(
    recipe: str | Settings,
    layers: Sequence[Mapping[str, object]] = (),
    arguments: Sequence[str] = (),
    *,
    quiet: bool = False,
) -> Settings:
    """`resolve` for a new run: what `Recipe.inherited` takes from the networks of ``init_from`` counts less than the user's settings.

    A line says what was taken, unless ``quiet``. Raises ConfigError, which names both values, for settings that the networks do not fit.
    """
    settings = resolve(recipe, layers, arguments)
    start = settings.run.init_from
    origin = origin_of(start) if start and isinstance(recipe, str) else None
    if origin is None or origin.settings.recipe != settings.recipe:
        return settings
    kind, _ = kinds(settings.recipe, get_catalogue())
    parser, migrated, words = prepared(settings.recipe, layers, arguments)
    layer = _layer({name: value for name, value in inherited(kind, origin).items() if name in parser.types})
    found = parser.parse([layer, *migrated], words)
    own = changes(found.plain(), layer)
    if own and not _fits(kind, origin, found):
        here, there = ([f"--{c.name} {_word(getattr(c, side))}" for c in own] for side in ("before", "after"))
        raise ConfigError(
            f"init_from {start} has {' '.join(there)}, and this run has {' '.join(here)}: these networks do not fit; leave "
            f"{' '.join(f'--{change.name}' for change in own)} out, or train without --init_from"
        )
    taken = changes(settings.plain(), found.plain())
    if taken and not quiet and os.environ.get("RANK", "0") == "0":
        say(f"init_from {start}: took over {', '.join(f'--{change.name} {_word(change.after)}' for change in taken)}")
    return found


def inherited(kind: type[AnyRecipe], origin: Origin) -> Mapping[str, object]:
    """What a recipe takes from an origin; nothing from facts that the recipe does not understand."""
    with suppress(LookupError, TypeError, ValueError, AttributeError, PolyganError):
        return kind.inherited(origin.settings.model, origin.info)
    return {}


def _layer(values: Mapping[str, object]) -> dict[str, object]:
    """Settings by dotted names as a layer, with lists for tuples, as in a file of settings."""
    plain = {name: [*value] if isinstance(value, tuple) else value for name, value in values.items()}
    return dict(nested(plain))  # pyright: ignore[reportArgumentType]  # any values, not only text


def _word(value: object) -> str:
    """A value as it is typed."""
    if value is None or value == []:
        return "unset"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _fits(kind: type[AnyRecipe], origin: Origin, settings: Settings) -> bool:
    """Whether networks of these settings take what networks of the origin hold. No weights are read.

    What cannot be built counts as fitting: the recipe itself then says what is wrong.
    """
    data = settings.plain()["data"]
    info = {**origin.info, **{name: data[name] for name in origin.info if data.get(name)}}
    there = networks_for(kind, origin.settings.model, origin.info) or {}
    here = networks_for(kind, settings.model, info) or {}
    try:
        for name in there.keys() & here.keys() & (origin.networks or there.keys()):
            here[name].load_state_dict(there[name].state_dict())
    except (PolyganError, RuntimeError):
        return False
    return True
