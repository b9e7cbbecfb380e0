"""What a network of pictures of any size says about sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Geometry(NamedTuple):
    """How the output of a network depends on its input (n, C, H, W). Each such network has it as its attribute ``geometry``."""

    scale: int = 1
    """Output pixels of a side for each input pixel."""
    multiple: int = 1
    """Both sides of the input are multiples of this number; a tile starts at a multiple of it."""
    halo: int | None = 0
    """Input pixels around a tile that the tile's output depends on; None: the output depends on the whole picture."""


def padded(network: Callable[[Tensor], Tensor], image: Tensor, geometry: Geometry) -> Tensor:
    """``network`` of pictures (n, C, H, W) of any size: their lower and right edges are repeated up to the network's multiple."""
    height, width = image.shape[2:]
    more = [-side % geometry.multiple for side in (width, height)]
    if any(more):
        image = F.pad(image, (0, more[0], 0, more[1]), mode="replicate")
    return network(image)[:, :, : height * geometry.scale, : width * geometry.scale]
