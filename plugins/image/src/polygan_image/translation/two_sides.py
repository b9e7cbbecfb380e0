"""The two classes of a recipe that learns without pairs: which pictures are given, and which are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polygan import ConfigError, Sides, did_you_mean

from .base import Translation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..data.settings import ImageInfo


@dataclass(frozen=True, kw_only=True)
class ToSide(Translation):
    """Options of pictures that are made into pictures of another class."""

    to: str = ""
    """The class that pictures are made into, by name; empty: the second class."""


def two_classes(info: Mapping[str, Any], recipe: str) -> tuple[str, str]:
    """The names of the two classes. Raises ConfigError for other data, and for a class with fewer than two pictures."""
    classes, counts = list(info.get("classes") or ()), list(info.get("class_counts") or ())
    remedy = (
        "put the pictures of each side into a folder, trainA and trainB, and type --data FOLDER --data.labels folders"
    )
    if info.get("pairs"):
        raise ConfigError(f"{recipe} learns without pairs; leave --data.pairs out, or train image/pix2pix on the pairs")
    if len(classes) < 2:
        found = f"one side, {classes[0]}" if classes else "no classes"
        raise ConfigError(f"{recipe} learns from two classes of pictures, and this data has {found}; {remedy}")
    if len(classes) > 2:
        shown = ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")
        raise ConfigError(
            f"{recipe} learns from two classes of pictures, and this data has {len(classes)} ({shown}); keep two folders below "
            "--data, each with the pictures of a side, and type --data.labels folders"
        )
    for name, count in zip(classes, counts, strict=False):
        if count < 2:
            what = "one picture" if count else "no pictures"
            raise ConfigError(f"{recipe}: the side {name} has {what}, and each side needs two or more; add pictures")
    first, second = classes
    return first, second


def sides_to(to: str, classes: tuple[str, str]) -> Sides:
    """The class that is given and the class ``to`` that is made. Raises ConfigError for another class."""
    first, second = classes
    if to and to not in classes:
        raise ConfigError(f"to = {to!r}: no such class{did_you_mean(to, classes)}; there are {first} and {second}")
    return Sides(second, first) if to == first else Sides(first, second)


def picture_side(facts: ImageInfo, smallest: int, recipe: str) -> None:
    """Raise ConfigError for pictures with a side below ``smallest`` pixels, where no logit is left."""
    if min(facts["height"], facts["width"]) < smallest:
        raise ConfigError(
            f"{recipe}: pictures of {facts['width']}x{facts['height']} are too small for these settings, which need {smallest} pixels "
            "a side; type --model.discriminator_layers 1, or a larger --data.resolution"
        )
