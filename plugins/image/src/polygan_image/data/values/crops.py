"""Squares of the stored pictures: where they lie, and the rows of the memory map that they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from polygan import Batch, Split, Store

    from ..settings import ImageInfo

SIZES = {"image": "size", "given": "given_size"}
"""The fields that hold pictures, and the fields with the (height, width) of pictures that keep their own size."""


class Square(NamedTuple):
    """A square of a picture in pixels, and whether it is mirrored."""

    top: int
    left: int
    side: int
    flip: bool = False


def drawn(size: tuple[int, int], crop: int, scale: float, flips: bool, draws: np.ndarray) -> Square:
    """The square of a picture of ``size`` (height, width) that the draws (4,) in [0, 1) choose: y, x, scale, flip.

    Its side is 1 to ``scale`` times ``crop``, and at most the shorter side of the picture.
    """
    y, x, scaled, flip = draws.tolist()
    side = max(crop, min(round(crop * (1 + scaled * (scale - 1))), *size))
    top, left = int(y * (size[0] - side + 1)), int(x * (size[1] - side + 1))
    return Square(top, left, side, flips and flip < 0.5)


def centred(size: tuple[int, int], crop: int) -> Square:
    """The square in the middle of a picture of ``size`` (height, width)."""
    return Square((size[0] - crop) // 2, (size[1] - crop) // 2, crop)


def stored(store: Store, field: str, row: int) -> np.ndarray:
    """A read-only view (C, H, W) of a picture in the memory map; nothing is read yet."""
    values = store.item(field, row)
    if not store.fields[field].ragged:
        return values
    height, width = store.item(SIZES[field], row).tolist()
    return values.reshape(height, width, -1).transpose(2, 0, 1)


def batch(split: Split, rows: np.ndarray, draws: np.ndarray) -> Batch:
    """All fields of the rows (n,): pictures and what is given with them cropped and mirrored alike, as ``draws`` (n, 4) say."""
    store, info = split.store, cast("ImageInfo", split.store.info)
    crop, scale, flips = info.get("crop", 0), info.get("scale", 1.0), info.get("flip", False)
    squares = []
    for row, own in zip(rows.tolist(), draws, strict=True):
        size = _size(store, row)
        squares.append(drawn(size, crop, scale, flips, own) if crop else Square(0, 0, 0, bool(own[3] < 0.5)))
    fields = [name for name in store.fields if name not in SIZES and name not in SIZES.values()]
    made = {name: store.gather(name, rows) for name in fields}
    return made | {name: pictures(store, name, rows, squares, crop) for name in SIZES if name in store.fields}


def centres(store: Store, field: str, rows: np.ndarray) -> torch.Tensor:
    """Stored values (n, C, H, W) of the rows (n,): the middle of each picture where training sees crops, else all of it."""
    crop = cast("ImageInfo", store.info).get("crop", 0)
    if not crop:
        return store.gather(field, rows)
    return pictures(store, field, rows, [centred(_size(store, row), crop) for row in rows.tolist()], crop)


def _size(store: Store, row: int) -> tuple[int, int]:
    field = store.fields["image"]
    height, width = store.item("size", row).tolist() if field.ragged else cast("tuple[int, int]", field.shape[1:])
    return height, width


def pictures(store: Store, field: str, rows: np.ndarray, squares: list[Square], crop: int) -> torch.Tensor:
    """(n, C, crop, crop) of the stored type: a square of each picture; ``crop`` 0: whole pictures of one size."""
    info = cast("ImageInfo", store.info)
    facts = info.get("given", {}) if field == "given" else info
    labels, alpha = bool(facts.get("values")), facts.get("dtype", "uint8") == "uint8"
    kept = store.fields[field]
    channels, *size = cast("tuple[int, ...]", kept.shape[1:] if kept.ragged else kept.shape)
    found = np.empty((len(rows), channels, *((crop, crop) if crop else size)), kept.dtype)
    for i, (row, square) in enumerate(zip(rows.tolist(), squares, strict=True)):
        values = stored(store, field, row)
        if crop:
            y, x, side = square.top, square.left, square.side
            values = shrunk(values[:, y : y + side, x : x + side], crop, labels=labels, alpha=alpha)
        found[i] = values[..., ::-1] if square.flip else values
    return torch.from_numpy(found)


def shrunk(values: np.ndarray, side: int, *, labels: bool = False, alpha: bool = False) -> np.ndarray:
    """A square (C, S, S) as (C, side, side) of the same type: bilinear with antialiasing, or the nearest value for label maps.

    ``alpha``: of 4 channels the last is alpha, and invisible pixels lend their neighbours no colour.
    """
    if values.shape[-1] == side:
        return values
    if labels:
        at = ((np.arange(side) + 0.5) * (values.shape[-1] / side)).astype(np.int64)
        return values[:, at[:, None], at]
    data = torch.from_numpy(np.ascontiguousarray(values)).to(torch.float32)
    alpha = alpha and len(values) == 4
    if alpha:
        data[:3] *= data[3:] / 255
    data = F.interpolate(data[None], (side, side), mode="bilinear", antialias=True, align_corners=False)[0]
    if alpha:
        data[:3] *= 255 / data[3:].clamp(min=1e-3)
        data[:3] = torch.where(data[3:] < 0.5, 0.0, data[:3])
    found = data.numpy()
    if values.dtype.kind == "f":
        return found
    bounds = np.iinfo(values.dtype)
    return found.round().clip(bounds.min, bounds.max).astype(values.dtype)
