"""Which classes of the data a recipe with two sides takes and makes, and the samples of one class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data.store import Split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .recipe import AnyRecipe, Sides


def sides_of(recipe: AnyRecipe, options: object = None) -> Sides | None:
    """The sides of a recipe for ``options`` (None: its defaults); None where samples are not made from a class of the data."""
    if recipe.given is None or recipe.invents:
        return None
    return recipe.sides(recipe.Sampling() if options is None else options)


def of_class(split: Split, name: str) -> Split:
    """The samples of one class, in the order of the split."""
    labels = split.store.gather("label", split.rows).numpy()
    return Split(split.store, split.rows[labels == split.store.info["classes"].index(name)], split.name)


def compared(recipe: AnyRecipe, splits: Mapping[str, Split], options: object = None) -> dict[str, Split]:
    """The part of each split that generated samples are compared with: for two sides, the samples of the class that is made."""
    sides = sides_of(recipe, options)
    return {name: split if sides is None else of_class(split, sides.made) for name, split in splits.items()}
