"""Given pictures: derived from the pictures of the data, and handed in by a user."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from PIL import Image

from polygan import ConfigError

from . import pictures
from .pairs.given import check_factor
from .pairs.labels import classes_of
from .pairs.maps import read_map, take_maps
from .values import reading, users, windows
from .values.shrinking import shrink

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from .settings import Given, ImageInfo

WEIGHTS = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601), the grey of Pillow and JPEG files."""
_KINDS = "values of the data's type (H, W), (H, W, C) or (n, H, W, C), floats (n, C, H, W) in [-1, 1], or PIL pictures"


def in_colour(x: Tensor) -> Tensor:
    """Pictures (n, C, H, W) in [-1, 1] as colour (n, 3, H, W): grey repeated, and the transparency of 4 channels laid on white.

    Of 2 channels the first is repeated; of more than 4 the first three are the colours.
    """
    if x.shape[1] < 3:
        return x[:, :1].expand(-1, 3, -1, -1)
    if x.shape[1] != 4:
        return x[:, :3]
    alpha = (x[:, 3:].clamp(-1, 1) + 1) / 2
    return x[:, :3] * alpha + (1 - alpha)


def grey(image: Tensor) -> Tensor:
    """(n, 1, H, W) in [-1, 1]: the luma of pictures (n, C, H, W); transparency is laid on white, grey pictures stay as they are."""
    if image.shape[1] == 1:
        return image
    red, green, blue = in_colour(image).split(1, 1)
    return WEIGHTS[0] * red + WEIGHTS[1] * green + WEIGHTS[2] * blue


def pair(image: Tensor, info: Mapping[str, Any]) -> Tensor | None:
    """The given sides of pictures (n, C, H, W) in [-1, 1], derived by ``info["pairs"]``; None: nothing is derived."""
    match info.get("pairs", ""):
        case "" | "folders" | "left" | "right":
            return None
        case "grey":
            return grey(image)
        case "smaller":
            return shrink(image, info["given"]["factor"])
        case other:
            raise ConfigError(f"the data was paired by {other!r}, which is unknown here; upgrade polygan-image")


def read(path: Path, info: Mapping[str, Any]) -> Tensor:
    """(1, C, H, W) in [-1, 1] of a picture file, in the form of the given pictures of a run with these facts.

    The picture gets the size of the run's data, like the data: cropped to the centre, or padded. With ``info["keeps_size"]`` it keeps
    its own size. A label map becomes one-hot. A file of deep values keeps them, and the run's window makes them floats.
    """
    return formed(values(path, info)[0], info)


def values(path: Path, info: Mapping[str, Any]) -> tuple[np.ndarray | Tensor, np.ndarray | None]:
    """A picture file for `formed`, and its alpha channel uint8 (H, W); None: every pixel is opaque, or the values have all there is.

    Rows are in the last dimension but one: uint8 (C, H, W), or (1, C, H, W) in its last form.
    """
    if (classes := classes_of(info)) is not None:
        return read_map(path, classes, info), None
    if users.has_own_values(info) or path.suffix.lower() == reading.SUFFIX:
        return _channels(users.read(path, info), info), None
    fitted = _fitting(info)
    return pictures.open_picture(path, None, lambda picture: (fitted(picture), _alpha(picture, info)))


def _alpha(picture: Image.Image, info: Mapping[str, Any]) -> np.ndarray | None:
    """The alpha channel where the picture keeps its size, the run's pictures have none, and no background is named."""
    facts = cast("ImageInfo", info)
    kept = facts.get("keeps_size", False) and facts["channels"] in (1, 3) and not facts.get("background")
    if not kept or pictures.kind(picture) != 4:
        return None
    found = np.asarray(pictures.upright(picture).convert("RGBA").getchannel("A"))
    return None if found.min() == 255 else found


def formed(values: np.ndarray | Tensor, info: Mapping[str, Any]) -> Tensor:
    """(1, C, h, W) in [-1, 1] of `values`, or of some of their rows."""
    return values if isinstance(values, torch.Tensor) else _formed(values[None], info)


def take(value: Any, info: Mapping[str, Any]) -> Tensor:
    """(n, C, H, W) in [-1, 1] of arrays or PIL pictures, in the form of the given pictures of a run with these facts.

    Whole numbers and PIL pictures have the values of the data, and are brought to the run's size, unless ``info["keeps_size"]``. Floats
    (n, C, H, W) in [-1, 1] keep their own size. Raises ConfigError for anything else.
    """
    if (classes := classes_of(info)) is not None:
        return take_maps(value, classes, info)
    own = users.has_own_values(info)
    if isinstance(value, Image.Image):
        return _channels(users.take_picture(value, info), info) if own else _formed(_fitting(info)(value)[None], info)
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return _floats(value.detach().float().cpu(), info)
    if isinstance(value, torch.Tensor):
        value = value.cpu().numpy()
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            return _floats(torch.from_numpy(np.ascontiguousarray(value, np.float32)), info)
        return _channels(users.take(value, info), info) if own else _bytes(value, info)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes) and (many := list(value)):
        return torch.cat([take(one, info) for one in many])
    raise ConfigError(f"given = {type(value).__name__} is no picture; hand over {_KINDS}")


def _fitting(info: Mapping[str, Any]) -> Any:
    """A function from a Pillow picture to uint8 (C, H, W) of the run's size, or of its own."""
    facts = cast("ImageInfo", info)
    own_size = facts.get("keeps_size", False)
    size, fit, background = (facts["width"], facts["height"]), facts.get("fit", "crop"), facts.get("background", "")

    def fitted(picture: Image.Image) -> np.ndarray:
        # A grey file keeps its greys; a coloured file is read like the data, and becomes grey like pairs.
        keeps = bool(facts.get("pairs")) and pictures.kind(picture) == 1
        return pictures.to_array(
            picture,
            pictures.upright_size(picture) if own_size else size,
            1 if keeps else facts["channels"],
            fit,
            background=background,
        )

    return fitted


def _formed(values: np.ndarray, info: Mapping[str, Any]) -> Tensor:
    """uint8 (n, C, H, W) in the form of a recipe's given pictures."""
    return _channels(windows.to_unit(torch.from_numpy(values), info), info)


def _channels(image: Tensor, info: Mapping[str, Any]) -> Tensor:
    given = pair(image, info)
    wanted = info["channels"]
    if given is not None:
        return given
    if image.shape[1] == wanted:
        return image
    if wanted == 1:
        return grey(image)
    if wanted not in pictures.MODES or image.shape[1] not in pictures.MODES:
        raise ConfigError(
            f"given = a picture of {image.shape[1]} channels, and the data has {wanted}; hand over as many"
        )
    colour = in_colour(image)
    return colour if wanted == 3 else torch.cat([colour, torch.ones_like(colour[:, :1])], 1)


def _floats(data: Tensor, info: Mapping[str, Any]) -> Tensor:
    if data.dim() == 3:
        data = data[None]
    if data.dim() != 4 or data.shape[1] not in (info["channels"], *pictures.MODES) or not len(data):
        raise ConfigError(f"given = floats {tuple(data.shape)} are no pictures; hand over {_KINDS}")
    if not bool(data.isfinite().all()) or float(data.abs().max()) > 1.001:
        raise ConfigError("given = floats outside [-1, 1]; scale them, or hand over uint8 for [0, 255]")
    return _channels(data, info)


def _bytes(values: np.ndarray, info: Mapping[str, Any]) -> Tensor:
    """uint8 (H, W), (H, W, C) or (n, H, W, C)."""
    known = values.dtype == np.uint8 and (
        values.ndim == 2 or (values.ndim in (3, 4) and values.shape[-1] in pictures.MODES)
    )
    if not known or not values.size:
        raise ConfigError(f"given = {values.dtype} {values.shape} is no picture; hand over {_KINDS}")
    many = values if values.ndim == 4 else values[None]
    fitting = _fitting(info)
    cells = [Image.fromarray(one[..., 0] if one.ndim == 3 and one.shape[-1] == 1 else one) for one in many]
    return torch.cat([_formed(fitting(cell)[None], info) for cell in cells])


def derived_facts(pairs: str, factor: int, channels: int, size: tuple[int, int]) -> Given:
    """The facts of derived given pictures. ConfigError where pictures of these channels and this (width, height) allow none."""
    if pairs == "smaller":
        check_factor(factor, *size)
        return {"channels": channels, "factor": factor}
    if pairs in ("folders", "left", "right"):
        raise ConfigError(
            f"data.pairs = {pairs} reads a folder or an archive of pictures; name one with --data, or leave --data.pairs out"
        )
    if pairs == "grey" and channels < 3:
        raise ConfigError(
            "data.pairs = grey needs pictures in colour, and these are grey; use coloured pictures, or leave --data.pairs out"
        )
    return {"channels": 1}
