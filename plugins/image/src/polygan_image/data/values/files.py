"""Files of pictures with their own values: 16-bit PNG and TIFF, float TIFF, and .npy for everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from polygan import ConfigError

from ..pictures import to_bytes
from .windows import has_window, to_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

ARRAY = ".npy"
TIFF = (".tif", ".tiff")
SUFFIXES = (ARRAY, *TIFF)
_BYTES = (".png", ".webp", *TIFF)


def keeps(suffix: str, channels: int, extra: Mapping[str, Any]) -> bool:
    """Whether files of this suffix hold such pictures with all their values. Plain bytes may lose some in a JPEG."""
    dtype = extra.get("dtype", "uint8")
    if suffix == ARRAY:
        return True
    if dtype == "uint8":
        plain = channels in (1, 3, 4)
        return plain and (not has_window(extra) or suffix in _BYTES)
    return channels == 1 and suffix in {"uint16": (".png", *TIFF), "float32": TIFF}.get(dtype, ())


def usual_suffix(channels: int, extra: Mapping[str, Any]) -> str:
    """The suffix of single files of such pictures: ``.png`` where it keeps all values, else ``.npy``."""
    return ".png" if keeps(".png", channels, extra) else ARRAY


def check_keeps(suffix: str, channels: int, extra: Mapping[str, Any], path: Path) -> None:
    """Refuse a file that would lose the values of its pictures."""
    if keeps(suffix, channels, extra):
        return
    dtype = extra.get("dtype", "uint8")
    what = f"{dtype} values" if channels == 1 else f"{dtype} values of {channels} channels"
    able = ", ".join(s[1:] for s in (".png", *SUFFIXES) if keeps(s, channels, extra))
    raise ConfigError(f"{path}: a {suffix} file cannot hold {what}; type --format and one of {able}")


def save(data: Tensor, extra: Mapping[str, Any], path: Path) -> None:
    """Write pictures (n, C, H, W) in [-1, 1] with the values of the data: several into one .npy, else one. The suffix `keeps` values."""
    save_values(values_of(data, extra), path)


def values_of(data: Tensor, extra: Mapping[str, Any]) -> np.ndarray:
    """(n, H, W, C) values of the data of pictures (n, C, H, W) in [-1, 1]."""
    return np.moveaxis(to_values(data, extra), 1, -1) if has_window(extra) else to_bytes(data)


def save_values(values: np.ndarray, path: Path) -> None:
    """Write values (n, H, W, C) of the data as `save` does."""
    if values.shape[-1] == 1:
        values = values[..., 0]
    values = np.ascontiguousarray(values[0] if len(values) == 1 else values)
    if path.suffix.lower() == ARRAY:
        with path.open("wb") as file:  # numpy.save would add a suffix to a path that ends in .NPY
            np.save(file, values)
        return
    lossless: dict[str, Any] = {"lossless": True, "exact": True} if path.suffix.lower() == ".webp" else {}
    Image.fromarray(values).save(path, **lossless)
