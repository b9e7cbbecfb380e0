"""Pictures with an alpha channel for networks that know none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from polygan import Samples

    from ..geometry import Geometry

_VISIBLE = 1 / 512  # alpha below this number is 0 as a byte


def seen(given: Samples) -> Tensor:
    """Pictures (n, C, H, W) and, as their last channel, ``extra["alpha"]`` if they have any."""
    alpha = given.extra.get("alpha")
    return given.data if alpha is None else torch.cat([given.data, alpha], 1)


def with_alpha(network: Callable[[Tensor], Tensor], geometry: Geometry) -> tuple[Callable[[Tensor], Tensor], Geometry]:
    """A function of pictures laid on white with their alpha in [0, 1] as the last channel, and its geometry.

    It gives colour with alpha (n, 4, H, W) in [-1, 1]. That picture laid on white is what the network made, as far as alpha allows, so
    that edges get no fringe. Alpha is enlarged by bicubic interpolation. Pictures of other than 1 or 3 channels stay as they are.
    """

    def make(image: Tensor) -> Tensor:
        made, alpha = network(image[:, :-1]).float(), image[:, -1:]
        if made.shape[1] not in (1, 3):
            return made
        if geometry.scale > 1:
            alpha = F.interpolate(alpha, scale_factor=geometry.scale, mode="bicubic", align_corners=False).clamp(0, 1)
        colour = made.expand(-1, 3, -1, -1)
        colour = torch.where(alpha > _VISIBLE, (colour - (1 - alpha)) / alpha.clamp(min=_VISIBLE), colour)
        return torch.cat([colour, 2 * alpha - 1], 1)

    reach = 2 if geometry.scale > 1 else 0
    return make, geometry._replace(halo=None if geometry.halo is None else max(geometry.halo, reach))
