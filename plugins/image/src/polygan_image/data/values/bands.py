"""Large pictures in bands of rows: reading, what is made of the bands, joining and writing. ``extra["rows"]`` is (top, total height)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from polygan import DataError, Samples

from .. import given, pictures
from . import files, png

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

BAND = 256
"""Rows of a band that is read."""
_BAND_PIXELS = 2**21  # of a made band: the writer makes several copies
LARGE = 2**22
"""Pixels of a picture that stays whole."""
_LONG = 16_000  # pixels of a side of a picture that stays whole
_SIDES = {".webp": 16_383, ".jpg": 65_500, ".jpeg": 65_500}
_OWN = ("alpha", "rows", "window", "dtype", "label_map")  # facts of the given picture that are none of the made picture


def is_large(height: int, width: int) -> bool:
    """Whether a picture of this size is handled in bands."""
    return height * width > LARGE or max(height, width) > _LONG


def read(path: Path, info: Mapping[str, Any]) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """What `given.read` reads, in [-1, 1], and what to note of it; of large pictures that keep their size, bands.

    Noted is the alpha channel (1, 1, h, W) in [0, 1] of a picture whose values lie on white.
    """
    values, alpha = given.values(path, info)
    height, width = values.shape[-2:]
    if not (info.get("keeps_size") and is_large(height, width)):
        yield given.formed(values, info), _alpha_of(alpha)
        return
    for top in range(0, height, BAND):
        noted = {"rows": (top, height), **_alpha_of(None if alpha is None else alpha[top : top + BAND])}
        yield given.formed(values[..., top : top + BAND, :], info), noted


def _alpha_of(values: np.ndarray | None) -> dict[str, Any]:
    return {} if values is None else {"alpha": torch.from_numpy(values[None, None] / np.float32(255))}


def pieces_of(first: Samples, pieces: Iterator[Samples]) -> Iterator[Samples]:
    """All bands of the picture whose first band is ``first``; a whole picture is its only band."""
    yield first
    if "rows" not in first.extra:
        return
    done, height = first.data.shape[2], first.extra["rows"][1]
    while done < height:
        piece = next(pieces)
        done += piece.data.shape[2]
        yield piece


def whole_pictures(pieces: Iterable[Samples]) -> Iterator[tuple[Tensor, Mapping[str, Any]]]:
    """Each picture (1, C, H, W) with its notes (`Samples.extra`). Bands are joined; one picture at a time is in memory."""
    left = iter(pieces)
    for first in left:
        data = [piece.data for piece in pieces_of(first, left)]
        for one in (data[0] if len(data) == 1 else torch.cat(data, 2)).split(1):
            yield one, first.extra


def carried(first: Samples, made: Tensor, rows: tuple[int, int] | None = None) -> Samples:
    """What was made of a picture whose first band is ``first``, with names and notes of the given picture."""
    extra = {name: value for name, value in first.extra.items() if name not in _OWN}
    return Samples(
        made,
        kind=first.kind,
        columns=first.columns,
        names=first.names,
        extra=extra if rows is None else {**extra, "rows": rows},
    )


def bands_of(first: Samples, made: Iterable[Tensor], height: int) -> Iterator[Samples]:
    """Made pieces of rows as bands of a picture of ``height`` rows; each has `BAND` rows at most, and few pixels."""
    top = 0
    for piece in made:
        # Copies: a view would keep the whole piece in memory.
        for band in piece.split(max(1, min(BAND, _BAND_PIXELS // piece.shape[3])), 2):
            yield carried(first, band.clone(), (top, height))
            top += band.shape[2]
            del band
        del piece  # before the next piece is made


def join(pieces: list[Samples]) -> list[Samples]:
    """Bands joined to whole pictures along their height; whole pictures stay as they are."""
    whole, left = [], iter(pieces)
    for first in left:
        if "rows" not in first.extra:
            whole.append(first)
            continue
        parts = list(pieces_of(first, left))
        extra = {name: value for name, value in first.extra.items() if name != "rows"}
        if "alpha" in extra:
            extra["alpha"] = torch.cat([piece.extra["alpha"] for piece in parts], 2)
        whole.append(replace(first, data=torch.cat([piece.data for piece in parts], 2), extra=extra))
    return whole


def can_write(first: Samples, suffix: str) -> bool:
    """Whether `write` writes a picture that begins with this band. The values of .npy files are joined elsewhere."""
    return "rows" in first.extra and len(first) == 1 and suffix != files.ARRAY and "label_map" not in first.extra


def write(bands: Iterable[Samples], path: Path) -> None:
    """Write the bands of one picture: band by band as PNG, else with all bytes in memory. Raises DataError where a format is too small."""
    left = iter(bands)
    first = next(left)
    suffix, extra = path.suffix.lower(), first.extra
    channels, width = first.data.shape[1], first.data.shape[3]
    height = extra["rows"][1]
    files.check_keeps(suffix, channels, extra, path)
    most = _SIDES.get(suffix, max(height, width))
    if max(height, width) > most:
        raise DataError(
            f"{path}: {width}x{height} pixels are too large for a {suffix} file, whose sides have {most:,} at most; type --format png"
        )
    values = (files.values_of(band.data, band.extra)[0] for band in pieces_of(first, left))
    if suffix == ".png":
        png.write(values, path, height)
        return
    whole = np.empty((height, width, channels), np.uint8 if extra.get("dtype", "uint8") == "uint8" else extra["dtype"])
    top = 0
    for part in values:
        whole[top : top + len(part)] = part
        top += len(part)
    if suffix in files.TIFF or "window" in extra:
        files.save_values(whole[None], path)
    else:
        pictures.save(pictures.to_picture(whole), path)
