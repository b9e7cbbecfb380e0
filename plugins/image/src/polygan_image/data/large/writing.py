"""Large made pictures: joined, and written band by band into a PNG file or at once into another file."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from polygan import DataError

from .. import pictures
from ..values import files
from .png import PNGWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from polygan import Samples

_VALUES = 2**22  # values that are turned into bytes at once
_MOST = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
"""The largest side in pixels that files of a suffix can have."""


def peeked(pieces: Iterable[Samples]) -> tuple[Samples, Iterator[Samples]]:
    """The first of the pieces, and all of them. Raises DataError where there is none."""
    pieces = iter(pieces)
    first = next(pieces, None)
    if first is None:
        raise DataError("no pictures to write; name a file with a picture")
    return first, itertools.chain([first], pieces)


def is_large(first: Samples) -> bool:
    """Whether a first piece belongs to a picture that comes in bands, or has more pixels a side than a grid of pictures may have."""
    alone = len(first) == 1 and first.kind != "frames" and max(first.data.shape[2:]) > pictures.MAX_SIDE
    return "rows" in first.extra or alone


def whole(pieces: Iterable[Samples]) -> Samples:
    """One picture from its bands, from the top."""
    bands = list(pieces)
    extra = {name: value for name, value in bands[0].extra.items() if name not in ("alpha", "rows")}
    if "alpha" in bands[0].extra:
        extra["alpha"] = torch.cat([band.extra["alpha"] for band in bands], 2)
    return replace(bands[0], data=torch.cat([band.data for band in bands], 2), extra=extra)


def save(pieces: Iterable[Samples], path: Path) -> None:
    """Write one picture (the bands of one, or one that is large) into a file of the path's suffix.

    Raises ConfigError for a suffix that would lose values, and DataError for a picture that is too large for the suffix.
    """
    first, pieces = peeked(pieces)
    suffix, (_, channels, height, width) = path.suffix.lower(), first.data.shape
    _, height = first.extra.get("rows", (0, height))
    if files.has_window(first.extra) or channels not in pictures.MODES:
        files.check_keeps(suffix, channels, first.extra, path)
    if max(height, width) > (most := _MOST.get(suffix, max(height, width))):
        raise DataError(
            f"a {suffix} file holds at most {most:,} pixels a side, and this picture has {width:,}x{height:,}; type --format png"
        )
    del first  # a band takes much memory
    if suffix == ".png":
        _save_png(pieces, path, (height, width, channels))
    else:
        _save_whole(pieces, path, height)


def _save_png(pieces: Iterable[Samples], path: Path, shape: tuple[int, int, int]) -> None:
    with path.open("wb") as file:
        writer = None
        for rows in _rows(pieces):
            if writer is None:
                writer = PNGWriter(file, shape[1], shape[0], shape[2], rows.dtype.name)
            writer.write(rows)
        assert writer is not None
        writer.close()


def _save_whole(pieces: Iterable[Samples], path: Path, height: int) -> None:
    values, done = None, 0
    for rows in _rows(pieces):
        if values is None:
            values = np.empty((height, *rows.shape[1:]), rows.dtype)
        values[done : done + len(rows)] = rows
        done += len(rows)
    assert values is not None
    if path.suffix.lower() in _MOST:
        pictures.save(pictures.to_picture(values), path)
    else:
        files.save_values(values[None], path)


def _rows(pieces: Iterable[Samples]) -> Iterator[np.ndarray]:
    """Rows (h, W, C) with the values of the data, a few at a time, of the bands of one picture."""
    for piece in pieces:
        _, channels, height, width = piece.data.shape
        each = max(1, _VALUES // (channels * width))
        for top in range(0, height, each):
            yield files.values_of(piece.data[:, :, top : top + each], piece.extra)[0]
