"""Label maps: pictures whose values are classes. Their classes, their indices, one-hot tensors, and colours to show them."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from PIL import Image, ImageOps

from polygan import DataError

from .. import formats, pictures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from ..settings import Given

MOST = 256
"""The most classes of label maps."""
_SMALL = 2**16
_SHOWN = 20  # known ids that an error names


class Classes(NamedTuple):
    """The classes of label maps, in the order of the channels."""

    values: tuple[int, ...]
    """The ids, ascending: grey values or indices of a palette, or colours 0xRRGGBB."""
    names: tuple[str, ...]
    colours: tuple[str, ...]
    """``#rrggbb`` of each class in reports and grids."""
    coded: str
    """``"ids"`` or ``"colours"``."""

    def facts(self) -> Given:
        """The facts of given label maps with these classes."""
        return {
            "channels": len(self.values), "values": list(self.values), "names": list(self.names), "coded": self.coded,
            "colours": list(self.colours),
        }  # fmt: skip

    def name(self, value: int) -> str:
        """An id as a user knows it."""
        return f"colour #{value:06x}" if self.coded == "colours" else f"id {value}"


def classes_of(given: Mapping[str, Any]) -> Classes | None:
    """The classes in the facts of given pictures (`Given`); None: they are no label maps."""
    values = given.get("values")
    if not values:
        return None
    names = given.get("names") or list(map(str, values))
    colours = given.get("colours") or distinct(len(values))
    return Classes(tuple(values), tuple(names), tuple(colours), given.get("coded", "ids"))


def distinct(count: int) -> list[str]:
    """``count`` different colours, neighbours far apart; the first is dark, as background often has the first id."""
    colours = ["#202020"]
    for i in range(1, count):
        # The golden angle keeps the hues of any number of classes apart; three levels of light separate close hues.
        rgb = colorsys.hls_to_rgb(i * 0.61803398875 % 1, (0.5, 0.68, 0.36)[i % 3], (0.85, 0.65)[i // 3 % 2])
        colours.append("#" + "".join(f"{round(255 * c):02x}" for c in rgb))
    return colours[:count]


def values_of(picture: Image.Image, coded: str) -> np.ndarray:
    """The ids (H, W) of a label map that is turned upright: of its grey values or palette, or 0xRRGGBB of its colours.

    Raises DataError for transparent pixels, which have no class, and for colours where ids are expected.
    """
    if picture.mode != "P" and pictures.has_alpha(picture):
        picture = picture.convert("RGBA")
        if cast("tuple[int, int]", picture.getchannel("A").getextrema())[0] < 255:
            raise DataError(
                "has transparent pixels, and each pixel of a label map has a class; save it without transparency"
            )
        picture = picture.convert("RGB")
    if coded == "colours":
        rgb = np.asarray(picture.convert("RGB")).astype(np.int32)
        return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
    values = np.asarray(picture)
    if values.ndim == 3 and (values == values[..., :1]).all():  # greys that are saved as colour
        values = values[..., 0]
    if values.ndim != 2:
        raise DataError("is in colour, and the label maps of this data have ids; save it as grey ids or with a palette")
    if values.dtype.kind == "f":
        raise DataError(
            "has fractions as values, and the ids of a label map are whole numbers; save it with 8 or 16 bits"
        )
    return values.astype(np.int32)


def index_map(picture: Image.Image, classes: Classes) -> Image.Image:
    """The class of each pixel as a grey picture, 0 to the number of classes - 1, turned upright.

    A coloured file that has the colours of the classes is read too. Raises DataError, which names an id that is no class.
    """
    with formats.room.of(picture.width * picture.height):
        return _index_map(pictures.upright(picture), classes)


def _index_map(picture: Image.Image, classes: Classes) -> Image.Image:
    if classes.coded == "ids" and picture.mode not in ("P", "PA") and pictures.kind(picture) != 1:
        shown = {int(colour[1:], 16): i for i, colour in enumerate(classes.colours)}
        found = values_of(picture, "colours")
        if len(shown) == len(classes.colours) and set(np.unique(found).tolist()) <= shown.keys():
            ordered = sorted(shown)
            order = np.array([shown[colour] for colour in ordered], np.uint8)
            return Image.fromarray(order[np.searchsorted(np.array(ordered), found)])
    return index_of(values_of(picture, classes.coded), classes)


def index_of(values: np.ndarray, classes: Classes) -> Image.Image:
    """The class of each id (H, W) as a grey picture. Raises DataError, which names an id that is no class."""
    known = np.array(classes.values)
    if classes.values[-1] < _SMALL:  # much faster than a search
        table = np.full(_SMALL + 1, -1, np.int16)
        table[known] = np.arange(len(known))
        index = table[np.where((values >= 0) & (values < _SMALL), values, _SMALL)]
        wrong = index < 0
    else:
        index = np.searchsorted(known, values).clip(max=len(known) - 1)
        wrong = known[index] != values
    if wrong.any():
        names = ", ".join(classes.name(v).split(" ", 1)[1] for v in classes.values[:_SHOWN])
        more = ", ..." if len(known) > _SHOWN else ""
        plural = "colours" if classes.coded == "colours" else "ids"
        raise DataError(
            f"has the {classes.name(int(values[wrong][0]))} at {int(wrong.sum()):,} of {wrong.size:,} pixels, which is no class of the "
            f"data; the known {plural} are {names}{more}"
        )
    return Image.fromarray(index.astype(np.uint8))


def fitted(indices: Image.Image, size: tuple[int, int], fit: str, *, enlarge: bool = True) -> np.ndarray:
    """uint8 (1, H, W) of a picture of class indices at ``size`` (width, height), without interpolation."""
    if indices.size != size:
        pictures.check_growth(indices.size, size, fit, enlarge=enlarge)
        nearest = Image.Resampling.NEAREST
        indices = ImageOps.fit(indices, size, nearest) if fit == "crop" else indices.resize(size, nearest)
    return np.array(indices)[None]


def one_hot(indices: Tensor, classes: int) -> Tensor:
    """(n, K, H, W) float32 in {0, 1} of class indices (n, 1, H, W)."""
    every = torch.arange(classes, device=indices.device, dtype=indices.dtype).view(1, -1, 1, 1)
    return (indices == every).to(torch.float32)


def in_colours(data: Tensor, colours: Sequence[str]) -> Tensor:
    """(n, 3, H, W) in [-1, 1]: one-hot label maps (n, K, H, W) in the colours of their classes."""
    table = torch.tensor([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], dtype=torch.float32)
    return (table[data.argmax(1).cpu()] / 127.5 - 1).movedim(-1, 1)


def shares(counts: Mapping[str, int], most: int = 12) -> str:
    """Classes with their shares of all pixels, the largest first."""
    total = sum(counts.values())
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} ({count / total:.1%})" for name, count in order[:most])
    more = f", and {len(order) - most} more" if len(order) > most else ""
    return f"{len(order)}: {shown}{more}"
