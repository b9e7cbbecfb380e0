"""The settings of picture data, and the facts of a source of pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from PIL import ImageColor

from polygan import ConfigError, DataSettings, ranged

from .values import windows

LARGEST = 8192
"""Most pixels of a side."""


class Given(TypedDict):
    """Facts of ``given``, the picture that a sample is made from."""

    channels: int
    """Channels that networks see: for a label map, its classes."""
    values: NotRequired[list[int]]
    """The ids of a label map's classes, in the order of the channels; absent: no label map."""
    names: NotRequired[list[str]]
    """The names of a label map's classes."""
    window: NotRequired[list[float]]
    """As in `ImageInfo`."""
    dtype: NotRequired[str]
    """As in `ImageInfo`."""
    coded: NotRequired[str]
    """How files of label maps tell the class: ``"ids"`` (grey values, indices of a palette) or ``"colours"`` (the id is 0xRRGGBB)."""
    colours: NotRequired[list[str]]
    """The colour ``#rrggbb`` of each class of a label map in reports and grids."""
    factor: NotRequired[int]
    """How many times smaller each side of the given picture is, for pairs by ``smaller``."""


class ImageInfo(TypedDict):
    """The facts of a source of pictures (`Source.info`): networks are built from them, and runs keep them as JSON."""

    channels: int
    """1 (grey), 3 (colour), 4 (with 8 bits: colour and alpha), or any number of values a pixel."""
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
    """How pictures of another aspect ratio get the size: ``"crop"``, ``"pad"`` or ``"stretch"``."""
    background: NotRequired[str]
    """The colour under transparency and of padding; absent or empty: white for a picture with transparent pixels, else black."""
    dtype: NotRequired[str]
    """The type of the stored values: ``"uint16"``, ``"int16"`` or ``"float32"``; absent: ``"uint8"``."""
    window: NotRequired[list[float]]
    """The values (low, high) that become -1 and 1; absent: 0 and 255."""
    crop: NotRequired[int]
    """The side in pixels of the squares that training sees, which ``height`` and ``width`` repeat; absent: whole pictures."""
    flip: NotRequired[bool]
    """Whether training sees half of the pictures mirrored; absent: no."""
    scale: NotRequired[float]
    """Training squares are cut from up to this many times their side, and shrunk; absent: 1."""
    keeps_size: NotRequired[bool]
    """Whether pictures that a user hands in keep their own size. `PictureToPicture` adds this fact."""
    axis: NotRequired[str]
    """The axis along which volumes are slices: ``"axial"``, ``"coronal"`` or ``"sagittal"``; absent: the data are no volumes."""
    pairs: NotRequired[str]
    """Where ``given`` comes from: derived as ``"grey"`` or ``"smaller"``; stored, from ``"folders"`` or the ``"left"`` or ``"right"``
    half of a picture; absent: pictures are not paired."""
    given: NotRequired[Given]
    """The facts of ``given``."""
    makes: NotRequired[list[str]]
    """The classes that imported weights with two sides can make; absent: both."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings(DataSettings):
    """How pictures are read."""

    resolution: int | str = ranged(0, "[0, 8192]", hint="0 keeps the source's own")
    """Width and height of pictures in pixels, ``64`` or ``96x64`` (width x height), resized by Lanczos; 0: the pictures' own size, if all
    have the same, or if data.crop is set."""
    crop: int = ranged(0, "[0, 8192]", hint="0 crops nothing")
    """Training sees squares of this many pixels a side from anywhere in the pictures; 0: whole pictures."""
    flip: bool = False
    """Training sees half of the pictures mirrored, left for right."""
    scale: float = ranged(1.0, "[1, 64]", usual=1)
    """With a crop: squares are cut from 1 to this many times the crop's side, and shrunk to it."""
    window: str = ""
    """The values that become black and white: ``"LOW HIGH"``; full: the smallest and the largest value of the data; percentile: 0.5 % of
    the values lie outside at each end. Empty: 0 and 255 for 8 bits, full for other values."""
    given_window: str = ""
    """As window, for the given pictures of pairs."""
    channels: int = ranged(0, "0 or 1 or 3 or 4")
    """1 (grey), 3 (colour) or 4 (colour and alpha); 0: 4 if more than half of the pictures have alpha, 1 if all are grey, else 3."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """What becomes of pictures of another aspect ratio: cropped to the centre, padded with the background, or stretched."""
    background: str = ""
    """The colour under transparency that is left out, and of padding: ``white``, ``black``, ``"#rrggbb"``; empty: white for a picture with
    transparent pixels, else black. With 4 channels pictures stay transparent."""
    smaller: Literal["enlarge", "refuse", "auto"] = "auto"
    """What becomes of a picture with fewer pixels than the resolution or the crop: enlarged, or refused, so that it counts as unreadable.
    auto: enlarged to a resolution, refused for a crop."""
    labels: Literal["auto", "folders", "none"] = "auto"
    """auto: the labels of IDX, NPZ, dataset.json and named sets; folders: the subfolder is the class; none: no labels."""
    min_class: int = ranged(0, "[0, inf)")
    """Classes with fewer pictures are left out; 0: none is left out."""
    pairs: Literal["", "grey", "smaller", "folders", "left", "right"] = ""
    """The given side of each picture. grey: the picture without its colours; smaller: the picture shrunk by data.factor; folders: the
    picture of the same name in a second folder; left, right: that half of the picture. Empty: none, or the set's own given side."""
    given: str = ""
    """With pairs = folders, the name of the folder that is given; empty: a usual name, such as given, input, labels or A."""
    given_labels: bool | Literal["auto"] = "auto"
    """Whether given pictures are label maps, whose grey values, palette indices or colours are classes; auto: if all are PNG files with
    one palette."""
    factor: int = ranged(2, "2 or 4")
    """How many times smaller each side of the given picture is, with pairs = smaller."""
    axis: Literal["axial", "coronal", "sagittal"] = "axial"
    """The slices of volumes (NIfTI, DICOM): axial from the feet to the head, coronal from back to front, sagittal from left to right."""
    max_pixels: int = ranged(64_000_000, "[1, inf)")
    """A file with more pixels is not decoded but counts as unreadable."""

    def __post_init__(self) -> None:
        super().__post_init__()
        width, height = self.size
        object.__setattr__(self, "resolution", width if width == height else f"{width}x{height}")
        if self.background:
            try:
                ImageColor.getrgb(self.background)
            except ValueError:
                raise ConfigError(
                    f"data.background = {self.background!r} is no colour; type a name (white, black, grey) or '#rrggbb'"
                ) from None
        if self.min_class and self.labels == "none":
            raise ConfigError("data.min_class needs classes, and data.labels = none leaves them out; drop one of both")
        self._check_pairs()
        self._check_values()

    def _check_values(self) -> None:
        """Refuse windows that are none, and crops that do not fit."""
        windows.said(self.window)
        windows.said(self.given_window, "given_window")
        if self.given_window and not self.pairs:
            raise ConfigError("data.given_window belongs to data.pairs; set both, or leave --data.given_window out")
        if self.scale != 1 and not self.crop:
            raise ConfigError(
                "data.scale needs data.crop, the side of the squares; set both, or leave --data.scale out"
            )
        if self.resolution and self.crop > min(self.size):
            raise ConfigError(
                f"data.crop = {self.crop} is larger than data.resolution = {self.resolution}; lower the crop, or raise the resolution"
            )

    def _check_pairs(self) -> None:
        """Refuse settings of pairs that these pairs do not have."""
        if self.given and self.pairs != "folders":
            raise ConfigError("data.given names a folder of data.pairs = folders; set both, or leave --data.given out")
        if self.factor != 2 and self.pairs != "smaller":
            raise ConfigError("data.factor belongs to data.pairs = smaller; set both, or leave --data.factor out")
        if self.given_labels is True and self.pairs in ("grey", "smaller"):
            raise ConfigError(
                f"data.given_labels = true does not fit data.pairs = {self.pairs}, which makes given pictures; leave one out"
            )
        if self.given_labels is True and self.fit == "pad":
            raise ConfigError("data.fit = pad has no class for the bars of a label map; use data.fit = crop or stretch")

    @property
    def enlarges(self) -> bool:
        """Whether pictures that are too small are enlarged."""
        return self.smaller == "enlarge" or (self.smaller == "auto" and not self.keeps_sizes)

    @property
    def keeps_sizes(self) -> bool:
        """Whether pictures of different sizes lie in the store at their own size: there is a crop, and no resolution."""
        return bool(self.crop) and not self.resolution

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the resolution; (0, 0): the pictures' own size."""
        if not isinstance(self.resolution, str):
            return self.resolution, self.resolution
        found = re.fullmatch(r"\s*(\d{1,5})\s*(?:[xX×]\s*(\d{1,5})\s*)?", self.resolution)
        width, height = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
            raise ConfigError(
                f"data.resolution = {self.resolution!r} is no size of 1 to {LARGEST} pixels a side; "
                "type 64, or 96x64 for width x height"
            )
        return width, height
