"""Rows of classes in given weights: taken by the names of the classes, where another run has other classes or another order."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ...errors import PolyganError
from ...seeding import preserved_generators
from ...training.weights import misfits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from ...files import Facts
    from ...game.recipe import AnyRecipe
    from ...training.checkpoint import Networks


def networks_for(recipe: AnyRecipe | type[AnyRecipe], model: object, info: Facts) -> Mapping[str, nn.Module] | None:
    """Networks of the recipe for other settings or other facts; None where the recipe refuses them."""
    kind = recipe if isinstance(recipe, type) else type(recipe)
    with suppress(PolyganError, LookupError, ValueError, TypeError), preserved_generators():
        return kind(model, info).networks()
    return None


def by_name(
    own: Mapping[str, nn.Module], weights: Networks, recipe: AnyRecipe, there: Sequence[str]
) -> tuple[Networks, str] | None:
    """The weights with a row for each class of the recipe, in its order, and a note; rows of classes that are new are those of ``own``.

    ``there`` are the names of the classes of the weights. None where the names are the same, where no name is shared by another number
    of classes, where it is not plain which rows are those of classes, and where other tensors do not fit.
    """
    here = list(recipe.info.get("classes", ()))
    shared = [name for name in here if name in there]
    if list(there) == here or not here or not there or (not shared and len(there) != len(here)):
        return None
    sides = _sides(own, recipe, here)
    if not sides:
        return None
    made = dict(weights)
    for key in weights:
        for tensor, side in sides.get(key.removesuffix(".ema"), {}).items():
            moved = _moved(
                own[key.removesuffix(".ema")].state_dict()[tensor], weights[key].get(tensor), side, there, here
            )
            if moved is None:
                return None
            made[key] = {**made[key], tensor: moved}
    states = {name: module.state_dict() for name, module in own.items()}
    if any(misfits(states[key.removesuffix(".ema")], made[key]) for key in made if key.removesuffix(".ema") in states):
        return None
    new = [name for name in here if name not in there]
    taken = "rows of classes were taken by name"
    return made, f"{taken}, and these classes are new: {_few(new)}" if new else taken


def _sides(own: Mapping[str, nn.Module], recipe: AnyRecipe, here: list[str]) -> dict[str, dict[str, int]]:
    """The dimension that counts classes, by network and tensor: it differs in networks for one class more, or one less."""
    for classes in ([*here, f"not {' '.join(here)}"], here[:-1]):
        counts = list(recipe.info.get("class_counts", ()))
        facts = {"class_counts": [*counts, 1][: len(classes)]} if counts else {}
        other = networks_for(recipe, recipe.config, {**recipe.info, **facts, "classes": classes})
        found: dict[str, dict[str, int]] = {}
        for name, module in (other or {}).items():
            shapes = {key: tensor.shape for key, tensor in module.state_dict().items()}
            for key, tensor in own[name].state_dict().items() if name in own else ():
                differing = [
                    d for d, (a, b) in enumerate(zip(tensor.shape, shapes.get(key, ()), strict=False)) if a != b
                ]
                if len(differing) == 1:
                    found.setdefault(name, {})[key] = differing[0]
        if found:
            return found
    return {}


def _moved(fresh: Tensor, given: Tensor | None, side: int, there: Sequence[str], here: Sequence[str]) -> Tensor | None:
    """``fresh`` with the given rows of the classes that both have. A table of words followed by classes keeps the given words."""
    if given is None or given.ndim != fresh.ndim or given.dtype != fresh.dtype:
        return None
    words = fresh.shape[side] - len(here)
    same = given.movedim(side, 0).shape[1:] == fresh.movedim(side, 0).shape[1:]
    if words < 0 or not same or words != given.shape[side] - len(there) or (words and side):
        return None
    made, rows = fresh.detach().clone().movedim(side, 0), given.movedim(side, 0).to(fresh.device)
    made[:words] = rows[:words]
    for i, name in enumerate(here):
        if name in there:
            made[words + i] = rows[words + there.index(name)]
    return made.movedim(0, side).contiguous()


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6:,} more" if len(names) > 6 else "")
