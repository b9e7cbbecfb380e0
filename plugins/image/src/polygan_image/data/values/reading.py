"""Values of pictures from files: .npy arrays, and grey pictures of more than 8 bits that Pillow opens."""

from __future__ import annotations

import math
from threading import RLock
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from polygan import DataError

from ..pictures import upright
from .windows import DTYPES

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

SUFFIX = ".npy"
_PARSING = RLock()  # "AST constructor recursion depth mismatch" otherwise, now and then
_KINDS = "(H, W) or (H, W, C)"
_PLANAR = 16  # channels; a first side so short is taken for channels where the others are longer
_EXACT = 2**24  # whole numbers up to here are the same as float32


def npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """(shape, dtype) of an open .npy file, which is read up to its values. Raises ValueError for other files."""
    shape, _, dtype = _header(stream)
    return shape, dtype


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, whether the first axis is the fastest, dtype). One thread at a time: Python 3.11 cannot parse in several threads."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with _PARSING:
        return read(stream)


def kind_of(dtype: np.dtype[Any]) -> str:
    """The type in which values are stored; empty for values that are not read. Floats of every size become float32."""
    if dtype.kind == "f":
        return "float32"
    name = dtype.newbyteorder("=").name
    return name if name in DTYPES else ""


def npy_facts(file: Path | IO[bytes], max_pixels: int | None) -> tuple[tuple[int, int, int], str]:
    """(height, width, channels) and the type of the values of a .npy picture, from its header. Raises DataError."""
    with _opened(file) as stream:
        return _checked(stream, max_pixels)


def npy_values(file: Path | IO[bytes], max_pixels: int | None) -> np.ndarray:
    """The values (H, W, C) of a .npy picture in one of `DTYPES`. Raises DataError for a file that is none."""
    with _opened(file) as stream:
        (height, width, channels), kind = _checked(stream, max_pixels)
        stream.seek(0)
        try:
            shape, columns, dtype = _header(stream)
            values = np.frombuffer(stream.read(), dtype).reshape(shape, order="F" if columns else "C")
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"cannot be read ({error}); save it again") from None
        return values.reshape(height, width, channels).astype(kind)


def _opened(file: Path | IO[bytes]) -> IO[bytes]:
    return file if hasattr(file, "read") else file.open("rb")  # pyright: ignore[reportAttributeAccessIssue, reportReturnType]


def _checked(stream: IO[bytes], max_pixels: int | None) -> tuple[tuple[int, int, int], str]:
    """The facts of an open .npy picture. No more is read than the size of the file makes believable."""
    try:
        shape, dtype = npy_header(stream)
        start = stream.tell()
        there = stream.seek(0, 2) - start
    except (OSError, EOFError, ValueError, TypeError, SyntaxError) as error:
        raise DataError(f"is no .npy file ({error}); save it again with numpy.save") from None
    kind = kind_of(dtype)
    if dtype.hasobject or not kind:
        raise DataError(f"holds values of type {dtype}; {', '.join(DTYPES)} and other floats are read, so convert it")
    whole = picture_shape(shape)
    if max_pixels is not None and whole[0] * whole[1] > max_pixels:
        raise DataError(
            f"{whole[1]}x{whole[0]} are more than data.max_pixels = {max_pixels:,} pixels; "
            f"type --data.max_pixels {whole[0] * whole[1]} if you trust the file"
        )
    promised = math.prod(shape) * dtype.itemsize
    if promised != there:
        raise DataError(f"has {there:,} bytes where its header promises {promised:,}; save it again")
    return whole, kind


def picture_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(height, width, channels) of one picture's array. Raises DataError for another shape, and where the channels come first."""
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) != 3 or min(shape) < 1:
        raise DataError(f"is an array of shape {shape}; {_KINDS} is read")
    height, width, channels = shape
    if height <= _PLANAR and height < min(width, channels) and channels > 4:
        raise DataError(
            f"is an array of shape {shape}, whose channels seem to come first; save it as (H, W, C), as numpy.moveaxis(x, 0, -1) gives it"
        )
    return height, width, channels


def depth(picture: Image.Image) -> str:
    """The type of a Pillow picture's values, from its header: one of `DTYPES`."""
    if picture.mode == "F":
        return "float32"
    if picture.mode != "I":
        return "uint16" if picture.mode.startswith("I;16") else "uint8"
    tags: Any = getattr(picture, "tag_v2", None)
    if tags is None:
        return "uint16"  # PNG and PGM files of 16 bits
    bits, form = (
        np.ravel(tags.get(tag, usual))[0] for tag, usual in ((258, 16), (339, 1))
    )  # BitsPerSample, SampleFormat
    if bits > 16:
        return "float32"
    return "int16" if form == 2 else "uint16"


def of_picture(picture: Image.Image, dtype: str) -> np.ndarray:
    """The values (H, W, 1) of a grey Pillow picture, turned upright. Raises DataError for values that ``dtype`` cannot hold."""
    values = np.asarray(upright(picture))
    if values.ndim != 2:
        raise DataError(f"has 8-bit colours, and the data has {dtype} values; convert the file")
    return as_type(values, dtype)[..., None]


def as_type(values: np.ndarray, dtype: str) -> np.ndarray:
    """Values in another type. Raises DataError for values that this type cannot hold; fractions become float32."""
    if values.dtype == dtype:
        return values
    if values.dtype.kind == "f":
        if dtype != "float32":
            raise DataError(f"has fractions as values, and the data has {dtype} values; convert the file")
        return values.astype(np.float32)
    bounds = (-_EXACT, _EXACT) if dtype == "float32" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    low, high = int(values.min()), int(values.max())
    if low < bounds[0] or high > bounds[1]:
        raise DataError(f"has values from {low} to {high}, which {dtype} does not hold exactly; convert the file")
    return values.astype(dtype)
