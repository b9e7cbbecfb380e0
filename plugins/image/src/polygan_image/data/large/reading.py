"""A user's picture file as one picture, or as bands of rows if the picture is large, with its alpha channel if it has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from .. import given, pictures
from ..pairs.labels import classes_of
from ..values import reading, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

WHOLE = 2**20
"""Pixels of a picture that is not divided."""
_BAND = 2**19  # pixels of a band


class Part(NamedTuple):
    """Values (1, C, h, W) in [-1, 1], and what `Samples.extra` says of them: ``rows`` of a band, ``alpha`` (1, 1, h, W) in [0, 1]."""

    data: Tensor
    extra: dict[str, Any]


def parts(path: Path, info: Mapping[str, Any]) -> Iterator[Part]:
    """A picture file as `given.read` reads it: whole, or in bands if its size is kept and it is large.

    A transparent picture of 8 bits keeps its alpha channel where the pictures of the run have none, and where the run names no background.
    """
    own = classes_of(info) is not None or users.has_own_values(info) or path.suffix.lower() == reading.SUFFIX
    if own or not info.get("keeps_size", False):
        yield from _sliced(given.read(path, info))
        return
    found = pictures.open_picture(path, None, lambda picture: _opened(picture, info))
    if isinstance(found, Image.Image):
        yield from _bands(found, info)
    else:
        yield from _sliced(*found)


def _opened(picture: Image.Image, info: Mapping[str, Any]) -> Image.Image | tuple[Tensor, Tensor | None]:
    """A large picture, turned upright and decoded, or the values and the alpha of another."""
    kind = pictures.kind(picture)
    if picture.width * picture.height > WHOLE and picture.mode not in pictures.DEEP:
        return pictures.upright(picture)
    alpha = _alpha(pictures.upright(picture)) if kind == 4 and _keeps_alpha(info) else None
    return given.formed(given.fitting(info)(picture)[None], info), alpha


def _keeps_alpha(info: Mapping[str, Any]) -> bool:
    return info["channels"] in (1, 3) and not info.get("background")


def _alpha(picture: Image.Image) -> Tensor | None:
    """(1, 1, H, W) in [0, 1]; None: every pixel is opaque."""
    values = np.asarray(picture.convert("RGBA").getchannel("A"))
    return None if values.min() == 255 else torch.from_numpy(values[None, None] / np.float32(255))


def _bands(picture: Image.Image, info: Mapping[str, Any]) -> Iterator[Part]:
    transparent = pictures.kind(picture) == 4 and _keeps_alpha(info) and _alpha(picture) is not None
    width, height = picture.size
    each = max(1, _BAND // width)
    for top in range(0, height, each):
        rows = picture.crop((0, top, width, min(height, top + each)))
        extra: dict[str, Any] = {"rows": (top, height)}
        if transparent:
            alpha = _alpha(rows)
            extra["alpha"] = torch.ones(1, 1, rows.height, width) if alpha is None else alpha
        yield Part(given.formed(given.fitting(info)(rows)[None], info), extra)


def _sliced(data: Tensor, alpha: Tensor | None = None) -> Iterator[Part]:
    """A picture (1, C, H, W) that is in memory already."""
    height, width = data.shape[2:]
    each = height if height * width <= WHOLE else max(1, _BAND // width)
    for top in range(0, height, each):
        extra: dict[str, Any] = {"rows": (top, height)} if each < height else {}
        if alpha is not None:
            extra["alpha"] = alpha[:, :, top : top + each]
        yield Part(data[:, :, top : top + each], extra)
