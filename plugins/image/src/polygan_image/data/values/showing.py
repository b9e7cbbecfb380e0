"""Pictures of any values and any number of channels as pictures for the eye."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import pictures
from .windows import has_window, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL import Image
    from torch import Tensor

    from polygan import Samples

_NAMED = 6  # files in a caption at most
_SHOWN = 2**24  # pixels of a report's grid or of grid.png at most, unless it is one picture


def shown(data: Tensor, extra: Mapping[str, Any]) -> Tensor:
    """(n, 1, 3 or 4, H, W) of pictures (n, C, H, W) in [-1, 1]: the first channel of 2, the first three of more than 3.

    Only 4 channels of 8 bits are colour and alpha.
    """
    channels = data.shape[1]
    if channels == 2:
        return data[:, :1]
    whole = channels in (1, 3) or (channels == 4 and extra.get("dtype", "uint8") == "uint8")
    return data if whole else data[:, :3]


def caption(channels: int, extra: Mapping[str, Any]) -> str:
    """What a reader of `shown` pictures has to know: the values of black and white, and which channels are shown."""
    text = ""
    if has_window(extra):
        low, high = window_of(extra)
        text = f", black is {low:g} and white {high:g}"
    if channels == 2 or channels > 4 or (channels == 4 and extra.get("dtype", "uint8") != "uint8"):
        text += f", the first {'channel' if channels == 2 else '3'} of {channels}{'' if channels == 2 else ' channels'}"
    return text


def first_of(origins: Sequence[str]) -> str:
    """The first files of the pictures of a view, to stand at the end of a caption; empty where nobody knows the files."""
    more = f", and {len(origins) - _NAMED:,} more" if len(origins) > _NAMED else ""
    return f"; {', '.join(origins[:_NAMED])}{more}" if origins else ""


def names(samples: Samples) -> list[str]:
    """Names of files without suffix: the samples' names if they differ and fit a folder, otherwise numbers."""
    names = [str(name) for name in samples.names]
    if len(names) == len(samples) == len({*names, "grid"}) - 1 and all(n and Path(n).name == n for n in names):
        return names
    width = max(5, len(str(len(samples) - 1)))
    return [f"{i:0{width}d}" for i in range(len(samples))]


def columns(samples: Samples) -> int:
    """The columns of a grid whose order means something; 0: any number."""
    return samples.columns if samples.kind in ("grid", "walk") else 0


def overview(samples: Samples, factor: int) -> Image.Image:
    """The grid of as many of the first samples as a page can take."""
    height, width = (s * factor for s in samples.data.shape[2:])
    across, data = columns(samples), shown(samples.data, samples.extra)
    if across and not pictures.grid_capacity(height, width, across):
        across = 0  # a row is wider than a picture may be
    room = min(_SHOWN // (height * width), pictures.grid_capacity(height, width, across))
    if across:
        room -= room % across
    return pictures.grid(data[: max(1, room)], across, factor)


def described(samples: Samples) -> str:
    """A line about pictures under their grid."""
    n, (channels, height, width) = len(samples), samples.data.shape[1:]
    text = f"{n} picture{'s' if n > 1 else ''} of {width}x{height}{caption(channels, samples.extra)}"
    if samples.labels is None or samples.kind != "grid" or not samples.columns:
        return text
    rows = samples.labels.split(samples.columns)
    if any(len(r.unique()) > 1 for r in rows):
        return text
    classes = [samples.classes[i] if i < len(samples.classes) else str(i) for i in (int(r[0]) for r in rows)]
    return f"{text}, from the top a row for each of {', '.join(classes)}"
