"""Given, made and real pictures in rows, for a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from polygan import Picture

from .. import pictures
from ..given import in_colour
from ..values.showing import first_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_CELL = 56  # pixels that a picture has at least
_WIDE = 1064  # pixels of a row, as far as one group of pictures allows: the width of a report
_PIXELS = 1_200_000  # of the whole view, as far as two rows allow
_GAP, _PAD = 2, 8  # white pixels within a group, and behind a group


def view(sides: Sequence[tuple[str, Tensor]], origins: Sequence[str] = ()) -> Picture:
    """One picture of named sides, each (n, 1, 3 or 4, H, W) in [-1, 1] with its own channels and size: sample i of each side stands in one group.

    Smaller sides are enlarged by repeating pixels; small pictures are enlarged together. The caption has the first of ``origins``.
    """
    height, width = (max(data.shape[axis] for _, data in sides) for axis in (2, 3))
    n = min(len(data) for _, data in sides)
    factor = max(1, -(-_CELL // min(height, width)))
    group = len(sides) * (factor * width + _GAP) + _PAD
    columns = min(n, max(1, _WIDE // group))
    rows = max(2, _PIXELS // (columns * group * (factor * height + _GAP)))
    n = min(n - n % columns, rows * columns)
    cells = [_sized(in_colour(data[:n].float()), (factor * height, factor * width)) for _, data in sides]
    gap = torch.ones(n, 3, factor * height, _GAP)
    joined = [piece for cell in cells for piece in (cell, gap)]
    joined[-1] = torch.ones(n, 3, factor * height, _PAD if columns > 1 else 0)
    sheet = pictures.grid(torch.cat(joined, 3), columns)
    names = [name for name, _ in sides]
    again = f"; {columns} groups in a row" if columns > 1 else ""
    return Picture(pictures.png(sheet), f"from the left: {', '.join(names)}{again}{first_of(origins[:n])}")


def _sized(data: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures (n, 3, H, W) of this (height, width), by repeating pixels."""
    return data.cpu() if tuple(data.shape[2:]) == size else F.interpolate(data.cpu(), size=size, mode="nearest-exact")
