"""Label maps that a user hands in: files, arrays and PIL pictures as one-hot tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from PIL import Image

from polygan import ConfigError, DataError

from .. import pictures
from . import labels

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from ..settings import ImageInfo
    from .labels import Classes

_KINDS = (
    "ids (H, W) or (n, H, W), uint8 colours (n, H, W, 3), floats (n, K, H, W) that are 1 for a class, or PIL pictures"
)


def read_map(path: Path, classes: Classes, info: Mapping[str, Any]) -> Tensor:
    """(1, K, H, W) in {0, 1} of a label map file. DataError names an id that is no class, and the known ids."""
    return pictures.open_picture(path, None, lambda picture: _of_picture(picture, classes, info))


def take_maps(value: Any, classes: Classes, info: Mapping[str, Any]) -> Tensor:
    """(n, K, H, W) in {0, 1} of arrays or PIL pictures. Raises ConfigError for anything else, and for an id that is no class."""
    try:
        return _taken(value, classes, info)
    except DataError as error:
        raise ConfigError(f"the given label map {error}") from None


def _of_picture(picture: Image.Image, classes: Classes, info: Mapping[str, Any]) -> Tensor:
    return _fitted(labels.index_map(picture, classes), classes, info)


def _fitted(indices: Image.Image, classes: Classes, info: Mapping[str, Any]) -> Tensor:
    facts = cast("ImageInfo", info)
    size = indices.size if facts.get("keeps_size", False) else (facts["width"], facts["height"])
    values = labels.fitted(indices, size, facts.get("fit", "crop"))
    return labels.one_hot(torch.from_numpy(values)[None], len(classes.values))


def _taken(value: Any, classes: Classes, info: Mapping[str, Any]) -> Tensor:
    if isinstance(value, Image.Image):
        return _of_picture(value, classes, info)
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            return _floats(torch.from_numpy(np.ascontiguousarray(value, np.float32)), classes)
        if value.dtype.kind in "ui" and value.size:
            return _whole(value, classes, info)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes) and (many := list(value)):
        return torch.cat([_taken(one, classes, info) for one in many])
    raise ConfigError(f"given = {type(value).__name__} is no label map; hand over {_KINDS}")


def _whole(values: np.ndarray, classes: Classes, info: Mapping[str, Any]) -> Tensor:
    """Whole numbers: colours (n, H, W, 3) or (H, W, 3) where colours are the classes, otherwise ids."""
    coloured = values.dtype == np.uint8 and values.shape[-1] == 3 and (values.ndim == 4 or classes.coded == "colours")
    if coloured and values.ndim in (3, 4):
        cells = [Image.fromarray(one) for one in (values if values.ndim == 4 else values[None])]
        return torch.cat([_of_picture(cell, classes, info) for cell in cells])
    if values.ndim not in (2, 3):
        raise ConfigError(f"given = {values.dtype} {values.shape} is no label map; hand over {_KINDS}")
    cells = [labels.index_of(one.astype(np.int64), classes) for one in (values if values.ndim == 3 else values[None])]
    return torch.cat([_fitted(cell, classes, info) for cell in cells])


def _floats(data: Tensor, classes: Classes) -> Tensor:
    """One-hot floats (n, K, H, W) or (K, H, W) pass unchanged."""
    data = data[None] if data.dim() == 3 else data
    if data.dim() != 4 or data.shape[1] != len(classes.values) or not len(data):
        raise ConfigError(
            f"given = floats {tuple(data.shape)} are no label maps of {len(classes.values)} classes; hand over {_KINDS}"
        )
    if not bool(((data == 0) | (data == 1)).all()) or not bool((data.sum(1) == 1).all()):
        raise ConfigError(
            "given = floats that are not 1 for one class and 0 for the others at each pixel; hand over ids instead"
        )
    return data
