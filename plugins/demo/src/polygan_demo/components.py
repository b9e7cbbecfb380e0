"""Components of the page for options of generation, for classes and for what a user hands in."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import gradio as gr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .options import Option

ANY = -1
"""The value of the button for any class."""
_NAME = 60
"""The most characters of a class's name on a button."""


def option_component(option: Option) -> Any:
    """The component of an option."""
    common: dict[str, Any] = {"label": option.title, "info": option.help or None, "interactive": True}
    if option.kind == "switch":
        return gr.Checkbox(value=option.default, **common)
    if option.kind == "choice":
        kind = gr.Radio if len(option.choices) <= 4 else gr.Dropdown
        return kind(choices=[(str(c), c) for c in option.choices], value=option.default, **common)
    if option.kind == "text":
        return gr.Textbox(value="" if option.default is None else str(option.default), max_lines=1, **common)
    whole = option.kind == "whole"
    if math.isfinite(option.low) and math.isfinite(option.high) and not option.optional:
        step = 1 if whole else _step(option.high - option.low)
        return gr.Slider(option.low, option.high, option.default, step=step, **common)
    return gr.Number(value=option.default, precision=0 if whole else None, **common)


def _step(width: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that cuts a range into at least 50 parts."""
    power = 10.0 ** math.floor(math.log10(width / 50))
    return max(power * times for times in (1, 2, 5) if power * times <= width / 50)


def buttons(classes: Sequence[str], numbers: Sequence[int]) -> list[tuple[str, int]]:
    """The names and the values of the buttons of these classes, after the button for any class."""
    names = (classes[number] for number in numbers)
    short = (name if len(name) <= _NAME else f"{name[:_NAME]}…" for name in names)
    return [("any class", ANY), *zip(short, numbers, strict=True)]


def picture() -> Any:
    """A place for a picture, whose file is handed on as it is."""
    return _local(
        gr.Image(label="Your picture", type="filepath", image_mode=None, sources=["upload", "clipboard"], height=240)
    )


def sound() -> Any:
    """A place for a sound, or for the microphone."""
    return _local(gr.Audio(label="Your sound", type="filepath", sources=["upload", "microphone"]))


def file(suffixes: Sequence[str]) -> Any:
    """A place for a file of one of these suffixes."""
    return _local(gr.File(label="Your file", type="filepath", file_types=[*suffixes], height=140))


def _local(component: Any) -> Any:
    """A component that takes uploads alone: Gradio would fetch an address for a visitor, and open the picture before polygan does."""
    move = component.async_move_resource_to_block_cache

    async def moved(place: Any) -> str | None:
        if re.match(r"\s*\w+:/", str(place or "")):
            raise gr.Error("only uploaded files are taken, no addresses")
        return await move(place)

    component.async_move_resource_to_block_cache = moved
    component.preprocess = lambda payload: None if payload is None else payload.path
    return component
