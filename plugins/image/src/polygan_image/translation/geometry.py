"""What a network of pictures of any size says about sizes, and the check of what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
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

    def aligned(self, side: int) -> int:
        """The smallest multiple of ``multiple`` that is not below ``side``."""
        return -(-side // self.multiple) * self.multiple


def padded(network: Callable[[Tensor], Tensor], image: Tensor, geometry: Geometry) -> Tensor:
    """``network`` of pictures (n, C, H, W) of any size: their lower and right edges are repeated up to the network's multiple."""
    height, width = image.shape[2:]
    more = [-side % geometry.multiple for side in (width, height)]
    if any(more):
        image = F.pad(image, (0, more[0], 0, more[1]), mode="replicate")
    return network(image)[:, :, : height * geometry.scale, : width * geometry.scale]


def measured_halo(network: Callable[[Tensor], Tensor], channels: int, geometry: Geometry, reach: int) -> int:
    """The smallest exact halo of a network in evaluation mode, for tests of ``geometry.halo``. ``reach`` is at least that halo.

    NaN in one column or row of the input spreads to each output that depends on it, also where weights are 0. A halo above
    ``reach`` is found too large, but not exactly. Every place of a column within the network's multiple is tried.
    """
    m, scale = geometry.multiple, geometry.scale
    first = geometry.aligned(reach + 1)
    size = geometry.aligned(min(16, reach + 1)), 2 * first + m
    found = 0
    for across in (True, False):
        for place in range(first, first + m):
            image = torch.zeros(1, channels, *size)
            image[..., place] = torch.nan
            made = network(image if across else image.transpose(2, 3).contiguous())
            hit = made.isnan().any(1).any(1 if across else 2)[0].nonzero() // scale  # input columns of the outputs
            if not len(hit):
                continue
            low, high = int(hit.min()) // m * m, int(hit.max()) // m * m
            # The tile at ``low`` sees ``place`` beyond its end, and the tile at ``high`` sees it before its start.
            found = max(found, place - (low + m) + 1, high - place)
    return found
