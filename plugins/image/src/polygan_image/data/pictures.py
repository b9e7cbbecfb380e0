"""Pillow in and out: any picture file to bytes of one size and channel count, and samples to a grid.

Every resize uses one filter, Pillow's Lanczos, which is antialiased when it shrinks.
"""

from __future__ import annotations

import io
import math
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch
from PIL import Image, ImageOps

from polygan import ConfigError, DataError

from . import formats

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

T = TypeVar("T")

FILTER = "lanczos"
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_GAP = 2  # pixels between the cells of a grid
_MAX_SIDE = 16_383  # the largest WebP; PNG viewers and browsers stop not far above
_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_GREY = ("1", "L", *_DEEP)


def has_alpha(picture: Image.Image) -> bool:
    """Whether a picture has an alpha channel, or a palette entry or colour that is marked as transparent."""
    return picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info


def kind(picture: Image.Image) -> int:
    """The channels that a picture has by its header: 1 (grey), 3 (colour) or 4 (colour and alpha)."""
    if has_alpha(picture) and picture.mode not in _DEEP:
        return 4
    return 1 if picture.mode in _GREY else 3


def has_more_frames(picture: Image.Image) -> bool:
    """Whether a file has further frames or pages. The second picture of a camera's JPEG is a preview, and does not count."""
    with suppress(Exception):  # a damaged second frame is no fault of the first
        return picture.format != "MPO" and bool(getattr(picture, "is_animated", False))
    return False


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """(width, height) after the orientation of its EXIF data, from the header alone."""
    turned = picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (picture.height, picture.width) if turned else picture.size


def open_picture(file: Path | IO[bytes], max_pixels: int | None, read: Callable[[Image.Image], T]) -> T:
    """``read(picture)`` of an opened file (a path or a binary stream) of at most ``max_pixels`` (None: Pillow's limit).

    Raises `DataError` with one line for every fault of the file; the caller adds the file's name.
    """
    most = max_pixels or Image.MAX_IMAGE_PIXELS or 2**27
    stream = file.open("rb") if isinstance(file, Path) else file
    allowed, remedy = f"{most:,} pixels", "make the picture smaller"
    if max_pixels is not None:
        allowed, remedy = f"data.max_pixels = {most:,} pixels", "type --data.max_pixels {} if you trust the file"
    try:
        with stream, formats.limit.of_at_least(most), formats.opened(stream, most) as picture:
            pixels = picture.width * picture.height
            if pixels > most:
                raise DataError(f"{picture.width}x{picture.height} are more than {allowed}; {remedy.format(pixels)}")
            return read(picture)
    except (DataError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise DataError(f"more than {allowed}; {remedy.format('N')}") from None
    except Image.UnidentifiedImageError:
        raise DataError("not a picture that Pillow can read; convert or remove the file") from None
    except Exception as error:  # damaged files make Pillow's decoders raise almost anything
        raise DataError(f"cannot be decoded ({error}); repair or remove the file") from None


def _deep_to_grey(picture: Image.Image) -> Image.Image:
    """Grey of more than 8 bits as a float picture in [0, 255]: 16-bit integers are scaled, not clipped."""
    values = np.asarray(picture)
    low, high = float(values.min()), float(values.max())
    top = 1.0 if picture.mode == "F" else 65_535.0
    if not (low >= 0 and high <= top):
        raise ValueError(
            f"grey values from {low:g} to {high:g}, where [0, {top:g}] is read; convert the file to 8 or 16 bits"
        )
    return Image.fromarray(values.astype(np.float32) * np.float32(255 / top))


def upright(picture: Image.Image) -> Image.Image:
    """A picture turned as its EXIF data say; the same object if nothing is to be turned, since a copy takes memory."""
    picture.load()  # the EXIF data of some files follow the pixels
    return ImageOps.exif_transpose(picture) if picture.getexif().get(0x0112) in range(2, 9) else picture


def _as_mode(picture: Image.Image, mode: str) -> Image.Image:
    return picture if picture.mode == mode else picture.convert(mode)


def _plain(picture: Image.Image) -> Image.Image:
    """One of the modes L, F (in [0, 255]), RGB and RGBA."""
    if picture.mode in _DEEP:
        return _deep_to_grey(picture)
    if has_alpha(picture):
        return _as_mode(picture, "RGBA")
    return _as_mode(picture, "L" if picture.mode in _GREY else "RGB")


def check_growth(old: tuple[int, int], new: tuple[int, int], fit: str, *, enlarge: bool) -> None:
    """Refuse to fit a picture of the size ``old`` to a larger size ``new``, unless pictures may be enlarged."""
    growth = new[0] / old[0], new[1] / old[1]
    if not enlarge and (min(growth) if fit == "pad" else max(growth)) > 1:
        raise DataError(
            f"{old[0]}x{old[1]} pixels are too few for {new[0]}x{new[1]}; lower data.resolution, or set data.smaller = enlarge"
        )


def fit_size(picture: Image.Image, size: tuple[int, int], fit: str, *, enlarge: bool = True) -> Image.Image:
    """A picture of ``size`` (width, height): its centre (crop), or the whole without its aspect ratio (stretch).

    ``pad`` gives the largest picture of the same aspect ratio within ``size``; the caller lays it on a sheet.
    Raises `DataError` for a smaller picture, unless it may ``enlarge``.
    """
    if picture.size == size:
        return picture
    check_growth(picture.size, size, fit, enlarge=enlarge)
    if fit == "crop":
        return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    if fit == "pad":
        scale = min(size[0] / picture.width, size[1] / picture.height)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS)


def to_array(
    picture: Image.Image, size: tuple[int, int], channels: int, fit: str, *, enlarge: bool = True, background: str = ""
) -> np.ndarray:
    """uint8 (channels, H, W) of a picture turned upright; ``size``: (width, height), ``channels`` 1, 3 or 4.

    With 1 or 3 channels, transparency is laid on ``background``, which also fills the bars of ``pad``. Empty: white for a picture with
    transparent pixels, else black. With 4 channels the bars are transparent, and invisible pixels are black. The grey weights are ITU-R 601's.
    """
    with formats.room.of(picture.width * picture.height):
        picture, paper = _on_paper(_plain(upright(picture)), channels, background)
        picture = fit_size(picture, size, fit, enlarge=enlarge)
        if picture.mode == "F":  # Lanczos overshoots, and only 8-bit modes are clipped by Pillow
            picture = Image.fromarray(np.asarray(picture).round().clip(0, 255).astype(np.uint8))
        values = np.array(_on_sheet(_as_mode(picture, MODES[channels]), size, paper))
    if channels == 4:
        values[values[..., 3] == 0] = 0
    return values.reshape(*values.shape[:2], channels).transpose(2, 0, 1).copy()


def _on_paper(picture: Image.Image, channels: int, background: str) -> tuple[Image.Image, str]:
    """A picture without transparency if fewer than 4 channels are asked for, and the colour that it lies on."""
    if picture.mode != "RGBA":
        return picture, background or "black"
    lowest = cast("tuple[int, int]", picture.getchannel("A").getextrema())[0]
    paper = background or ("white" if lowest < 255 else "black")
    if channels == 4:
        return picture, paper
    return Image.alpha_composite(Image.new("RGBA", picture.size, paper), picture).convert("RGB"), paper


def _on_sheet(picture: Image.Image, size: tuple[int, int], paper: str) -> Image.Image:
    """A picture in the middle of a sheet of this size (width, height) and colour; a sheet with alpha is transparent."""
    if picture.size == size:
        return picture
    sheet = Image.new(picture.mode, size, 0 if picture.mode == "RGBA" else paper)
    sheet.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return sheet


def to_bytes(data: Tensor) -> np.ndarray:
    """uint8 (n, H, W, C) of pictures (n, C, H, W) in [-1, 1]; NaN becomes mid grey."""
    data = torch.nan_to_num(data.detach().float().cpu(), nan=0.0)
    return ((data + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def to_picture(values: np.ndarray) -> Image.Image:
    """A Pillow picture of uint8 (H, W, C), C in 1, 3, 4."""
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)


def grid_capacity(height: int, width: int, columns: int) -> int:
    """How many pictures of (height, width) a grid of ``columns`` (0: a square grid) can show."""
    rows, across = _MAX_SIDE // (height + _GAP), _MAX_SIDE // (width + _GAP)
    if columns:
        return 0 if columns > across else rows * columns
    return min(rows, across) ** 2


def grid(data: Tensor, columns: int = 0, factor: int = 1) -> Image.Image:
    """One picture of (n, C, H, W) in [-1, 1], n >= 1; ``columns`` a row, 0: a square; enlarged by ``factor``.

    The gaps are white (transparent with 4 channels); enlarging repeats pixels. Raises `ConfigError` when
    the grid would be too large for a file.
    """
    n, _, height, width = data.shape
    if n > grid_capacity(height * factor, width * factor, columns):
        raise ConfigError(
            f"{n:,} pictures of {width}x{height} do not fit into one grid; "
            "save fewer, or give a folder (a path without a suffix)"
        )
    columns = min(columns or math.ceil(math.sqrt(n)), n)
    values = to_bytes(data).repeat(factor, axis=1).repeat(factor, axis=2)  # (n, H, W, C)
    _, height, width, channels = values.shape
    rows = -(-n // columns)
    shape = (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, channels)
    sheet = np.full(shape, 255, np.uint8)
    if channels == 4:
        sheet[..., 3] = 0
    for i, cell in enumerate(values):
        y, x = i // columns * (height + _GAP), i % columns * (width + _GAP)
        sheet[y : y + height, x : x + width] = cell
    return to_picture(sheet)


def png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def on_white(picture: Image.Image) -> Image.Image:
    """An RGBA picture laid on white, as RGB; other pictures stay unchanged."""
    if picture.mode != "RGBA":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def save_animation(data: Tensor, path: Path, seconds: float = 0.05) -> None:
    """Write (n, C, H, W) in [-1, 1] as an endless animation, WebP (lossless) or GIF (256 colours) by the path's suffix."""
    first, *rest = [on_white(to_picture(values)) for values in to_bytes(data)]
    options: dict[str, Any] = {"lossless": True} if path.suffix.lower() == ".webp" else {}
    first.save(path, save_all=True, append_images=rest, duration=round(seconds * 1000), loop=0, **options)


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture in the format of the path's suffix; JPEG has no alpha, so an RGBA picture is laid on white."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        picture = on_white(picture)
    lossless = {".webp": {"lossless": True}, ".jpg": {"quality": 95}, ".jpeg": {"quality": 95}}
    picture.save(path, **lossless.get(path.suffix.lower(), {}))
