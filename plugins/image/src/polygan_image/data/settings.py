"""The settings of picture data, and the facts that a source tells about its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from polygan import DataSettings, ranged


class Given(TypedDict):
    """What a sample is made from, where it is derived from the picture."""

    channels: int


class ImageInfo(TypedDict):
    """The facts of a source of pictures (`Source.info`): networks are built from them, and runs keep them as JSON."""

    channels: int
    """1 (grey), 3 (colour) or 4 (colour and alpha)."""
    height: int
    width: int
    count: NotRequired[int]
    """Pictures that could be read; the core adds it."""
    classes: NotRequired[list[str]]
    """The names of the classes; empty: no labels."""
    class_counts: NotRequired[list[int]]
    """How many pictures each class has."""
    filter: NotRequired[str]
    """How pictures are resized."""
    fit: NotRequired[str]
    """How another aspect ratio is brought to the size: ``"crop"`` or ``"pad"``."""
    pairs: NotRequired[str]
    """What ``given`` is derived by: ``"grey"``; absent: pictures are not paired."""
    given: NotRequired[Given]
    """What ``given`` looks like."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings(DataSettings):
    """How pictures are read."""

    resolution: int = ranged(0, "[0, 8192]", hint="0 keeps the source's own")
    """Height and width in pixels that pictures are brought to (Lanczos); 0: their own, if all share it."""
    channels: int = ranged(0, "0 or 1 or 3 or 4")
    """1 (grey), 3 (colour) or 4 (colour and alpha); 0: what the pictures have, 3 when they differ."""
    fit: Literal["crop", "pad"] = "crop"
    """What becomes of another aspect ratio: cropped to the centre, or padded (black or transparent)."""
    smaller: Literal["enlarge", "refuse"] = "enlarge"
    """What becomes of a picture with fewer pixels than the resolution: enlarged, or refused, so that it counts as unreadable."""
    labels: Literal["auto", "folders", "none"] = "auto"
    """auto: those that IDX, NPZ and named sets bring; folders: the subfolder is the class; none: not used."""
    pairs: Literal["", "grey"] = ""
    """What a recipe is given beside each picture: grey, the picture without its colours; empty: nothing."""
    max_pixels: int = ranged(64_000_000, "[1, 89478485]", hint="the most is Pillow's limit")
    """A file with more pixels is not decoded but counts as unreadable."""
