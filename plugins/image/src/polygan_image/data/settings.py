"""The settings of picture data, and the facts of a source of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from polygan import DataSettings, ranged


class Given(TypedDict):
    """Facts of ``given``, the picture that a sample is made from."""

    channels: int


class ImageInfo(TypedDict):
    """The facts of a source of pictures (`Source.info`): networks are built from them, and runs keep them as JSON."""

    channels: int
    """1 (grey), 3 (colour) or 4 (colour and alpha)."""
    height: int
    width: int
    count: NotRequired[int]
    """Number of readable pictures; the core adds this fact."""
    classes: NotRequired[list[str]]
    """The names of the classes; empty: no labels."""
    class_counts: NotRequired[list[int]]
    """How many pictures each class has."""
    filter: NotRequired[str]
    """How pictures are resized."""
    fit: NotRequired[str]
    """How pictures of another aspect ratio get the size: ``"crop"`` or ``"pad"``."""
    pairs: NotRequired[str]
    """How ``given`` is derived: ``"grey"``; absent: pictures are not paired."""
    given: NotRequired[Given]
    """The facts of ``given``."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings(DataSettings):
    """How pictures are read."""

    resolution: int = ranged(0, "[0, 8192]", hint="0 keeps the source's own")
    """Height and width of pictures in pixels, resized by Lanczos; 0: the pictures' own size, if all have the same."""
    channels: int = ranged(0, "0 or 1 or 3 or 4")
    """1 (grey), 3 (colour) or 4 (colour and alpha); 0: the pictures' own channels, or 3 if they differ."""
    fit: Literal["crop", "pad"] = "crop"
    """What becomes of pictures of another aspect ratio: cropped to the centre, or padded (black or transparent)."""
    smaller: Literal["enlarge", "refuse"] = "enlarge"
    """What becomes of a picture with fewer pixels than the resolution: enlarged, or refused, so that it counts as unreadable."""
    labels: Literal["auto", "folders", "none"] = "auto"
    """auto: the labels of IDX, NPZ and named sets; folders: the subfolder is the class; none: no labels."""
    pairs: Literal["", "grey"] = ""
    """The given side of each picture: grey, the picture without its colours; empty: none."""
    max_pixels: int = ranged(64_000_000, "[1, 89478485]", hint="the most is Pillow's limit")
    """A file with more pixels is not decoded but counts as unreadable."""
