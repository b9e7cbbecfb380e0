"""Settings files on the command line: layers in their order, and the recipe that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Layers = list[Mapping[str, object]]


def read_layers(files: Sequence[str], recipe: str | None) -> tuple[Layers, object]:
    """The layers of ``--config`` in their order, and the recipe: ``recipe``, else the recipe that the files name, if any.

    Raises ConfigError if two files name different recipes and ``recipe`` is None.
    """
    if not files:
        return [], recipe
    from ..settings.parser import read_yaml  # slow to import, and a recipe alone needs no file

    layers: Layers = [read_yaml(file) for file in files]
    named = {repr(layer["recipe"]): layer["recipe"] for layer in layers if layer.get("recipe") is not None}
    if recipe is None and len(named) > 1:
        raise ConfigError(
            f"{', '.join(files)} name different recipes ({', '.join(named)}): write the recipe after train"
        )
    return layers, recipe or next(iter(named.values()), None)
