"""Made pictures one by one, of pieces that hold several pictures, or bands of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ...translation.bands import pieces_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

    from polygan import Samples


def whole_pictures(pieces: Iterable[Samples]) -> Iterator[tuple[Tensor, Mapping[str, Any]]]:
    """Each picture (1, C, H, W) with its notes (`Samples.extra`). Bands are joined; one picture at a time is in memory."""
    left = iter(pieces)
    for first in left:
        data = [piece.data for piece in pieces_of(first, left)]
        for one in (data[0] if len(data) == 1 else torch.cat(data, 2)).split(1):
            yield one, first.extra
