"""Values of any type and any number of channels at another size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from polygan import DataError

from .. import pictures


def check_finite(values: np.ndarray) -> None:
    """Refuse a picture with NaN or infinite values."""
    if values.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
        raise DataError(
            f"has NaN or infinite values at {int((~finite).sum()):,} of {values.size:,} places; replace them with numbers, or remove the file"
        )


def fitted(values: np.ndarray, size: tuple[int, int], fit: str, *, enlarge: bool = True) -> np.ndarray:
    """(H, W, C) of the same type at ``size`` (width, height), resized by Lanczos within the range of each channel.

    ``fit`` means what `pictures.fit_size` says; the bars of ``pad`` have the channel's smallest value.
    """
    check_finite(values)
    if (values.shape[1], values.shape[0]) == size:
        return values
    planes = [_plane(values[..., c], size, fit, enlarge=enlarge) for c in range(values.shape[-1])]
    return np.stack(planes, -1)


def _plane(plane: np.ndarray, size: tuple[int, int], fit: str, *, enlarge: bool) -> np.ndarray:
    low, high = plane.min(), plane.max()
    picture = pictures.fit_size(Image.fromarray(plane.astype(np.float32)), size, fit, enlarge=enlarge)
    found = np.asarray(picture)
    whole = found if plane.dtype.kind == "f" else found.round()
    resized = whole.clip(low, high).astype(plane.dtype)
    if picture.size == size:
        return resized
    sheet = np.full((size[1], size[0]), low, plane.dtype)
    top, left = (size[1] - picture.height) // 2, (size[0] - picture.width) // 2
    sheet[top : top + picture.height, left : left + picture.width] = resized
    return sheet
