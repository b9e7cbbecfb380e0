"""Files and arrays of users with values of the run's own kind: deep grey, floats, any number of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

from polygan import ConfigError, DataError

from .. import pictures
from . import fitting, reading
from .windows import to_unit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from PIL import Image
    from torch import Tensor

    from ..settings import ImageInfo


def has_own_values(info: Mapping[str, Any]) -> bool:
    """Whether pictures of a run with these facts are no 8-bit pictures that Pillow converts into each other."""
    return info.get("dtype", "uint8") != "uint8" or info["channels"] not in pictures.MODES


def read(path: Path, info: Mapping[str, Any]) -> Tensor:
    """(1, C, H, W) in [-1, 1] of a file whose values mean what the values of the run's data mean. Raises DataError."""
    dtype = info.get("dtype", "uint8")
    if path.suffix.lower() == reading.SUFFIX:
        values = reading.npy_values(path, None)
    else:
        values = pictures.open_picture(path, None, lambda picture: _deep(picture, dtype))
    return formed(values, info)


def _deep(picture: Image.Image, dtype: str) -> np.ndarray:
    if dtype == "uint8":
        raise DataError("is read by Pillow, and the data has pictures of other channels; save it as .npy")
    if reading.depth(picture) == "uint8":
        raise DataError(f"has values of 8 bits, and the data has {dtype} values of its own; convert the file")
    return reading.of_picture(picture, dtype)


def take(values: np.ndarray, info: Mapping[str, Any]) -> Tensor:
    """(n, C, H, W) in [-1, 1] of whole numbers (H, W), (H, W, C) or (n, H, W, C), which mean what the data's values mean."""
    channels, known = info["channels"], _known(info)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim == 3 and values.shape[-1] in known:
        values = values[None]
    if values.ndim != 4 or values.shape[-1] not in known or not values.size:
        raise ConfigError(
            f"given = {values.dtype} {values.shape} is no picture of {channels} channels; hand over (H, W, C) or (n, H, W, C), or floats "
            "(n, C, H, W) in [-1, 1]"
        )
    try:
        return torch.cat([formed(one, info) for one in values])
    except DataError as error:
        raise ConfigError(f"given = a picture that {error}") from None


def take_picture(picture: Image.Image, info: Mapping[str, Any]) -> Tensor:
    """(1, C, H, W) in [-1, 1] of a deep grey Pillow picture."""
    try:
        return formed(_deep(picture, info.get("dtype", "uint8")), info)
    except DataError as error:
        raise ConfigError(f"given = a picture that {error}") from None


def _known(info: Mapping[str, Any]) -> set[int]:
    """The channels that a picture may have. For pairs by grey, a grey file keeps its greys."""
    return {info["channels"], 1} if info.get("pairs") == "grey" else {info["channels"]}


def formed(values: np.ndarray, info: Mapping[str, Any]) -> Tensor:
    """(1, C, H, W) in [-1, 1] of values (H, W, C), which mean what the data's values mean."""
    facts = cast("ImageInfo", info)
    if values.shape[-1] not in _known(info):
        raise DataError(f"has {values.shape[-1]} channels, and the data has {facts['channels']}; convert the file")
    size = facts["width"], facts["height"]
    if facts.get("keeps_size", False):
        size = values.shape[1], values.shape[0]
    made = fitting.fitted(reading.as_type(values, facts.get("dtype", "uint8")), size, facts.get("fit", "crop"))
    return to_unit(torch.from_numpy(made.transpose(2, 0, 1).copy())[None], info)
