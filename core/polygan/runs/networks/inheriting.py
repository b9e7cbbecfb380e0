"""Settings that a new run takes over from the networks it starts from (``init_from``), below what the user sets."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from ...errors import ConfigError, PolyganError
from ...messages import say
from ...plugins import get_catalogue
from ...settings.changes import changes
from ...settings.words import nested
from ..assembly import kinds, prepared, resolve
from .class_rows import networks_for
from .starting import origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...game.recipe import AnyRecipe
    from ...settings.parser import Settings
    from .starting import Origin


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
