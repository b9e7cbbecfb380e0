"""What a user is told of crops and of values, before any picture is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygan import Fact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..settings import ImageSettings
    from ..survey import Survey


def crop_facts(survey: Survey, settings: ImageSettings) -> list[Fact]:
    """The squares that training sees, and how many pictures are smaller."""
    if not settings.crop:
        return [Fact("mirrored", "half of the pictures, left for right")] if settings.flip else []
    text = f"{settings.crop}x{settings.crop} from anywhere in a picture"
    if settings.scale != 1:
        text += f", cut from up to {settings.scale:g} times that side and shrunk"
    text += ", half of them mirrored" if settings.flip else ""
    small = sum(group.number for size, group in survey.sizes.items() if min(size) < settings.crop)
    if small and settings.keeps_sizes:
        remedy = "enlarged" if settings.enlarges else "left out; --data.smaller enlarge enlarges them"
        text += f"; smaller than that: {small:,} of {survey.readable:,}, {remedy}"
    return [Fact("squares", text)]


def value_facts(survey: Survey, dtype: str, window: Sequence[float] | None, text: str) -> list[Fact]:
    """The type of stored values and the window, unless values are plain bytes. ``text``: the setting of the window."""
    deep = {name: group.number for name, group in survey.dtypes.items() if name != "uint8"}
    if dtype == "uint8" and deep:
        found = f"{sum(deep.values()):,} of {survey.readable:,} pictures have more than 8 bits, and are scaled to 8, as the others have 8"
        return [Fact("values", found)]
    if window is None:
        return []
    why = {"percentile": "percentile", "full": "full", "": "full"}.get(text, "")
    said = f" (data.window = {why})" if why else ""
    return [Fact("values", f"{dtype}; black is {window[0]:g} and white {window[1]:g}{said}")]
