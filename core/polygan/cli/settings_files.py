"""Settings files on the command line: layers in their order, and the recipe that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Layers = list[Mapping[str, object]]


def read_layers(files: Sequence[str]) -> tuple[Layers, object]:
    """The layers of ``--config`` in their order, and the recipe that they name, if any.

    Raises ConfigError if two files name different recipes.
    """
    if not files:
        return [], None
    from ..settings.parser import read_yaml  # slow to import, and a recipe alone needs no file

    layers: Layers = [read_yaml(file) for file in files]
    named = {repr(layer["recipe"]): layer["recipe"] for layer in layers if layer.get("recipe") is not None}
    if len(named) > 1:
        raise ConfigError(
            f"{', '.join(files)} name different recipes ({', '.join(named)}): leave the recipe out of all but one"
        )
    return layers, next(iter(named.values()), None)
