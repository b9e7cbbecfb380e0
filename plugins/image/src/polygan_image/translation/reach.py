"""How far the output of a network really depends on its input: a check of `Geometry`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..geometry import Geometry

_LONGEST = 2048  # pixels of the strips that are tried
_THICK = 4  # multiples of the network across a strip


def measured_halo(network: nn.Module, geometry: Geometry, channels: int) -> int | None:
    """The input pixels beyond a tile of ``geometry.multiple`` that the tile's output depends on; None: all, however many.

    Measured by gradients, in both directions, of a copy of the network whose weights are positive and random: no path through the
    network is then cut by ReLU or by weights that are still 0.
    """
    probe = _positive(network)
    both = [_along(probe, geometry, channels, upright=upright) for upright in (False, True)]
    return None if None in both else max(found for found in both if found is not None)


def _along(probe: nn.Module, geometry: Geometry, channels: int, *, upright: bool) -> int | None:
    m = geometry.multiple
    room = m * -(-(geometry.halo or 4 * m) // m) + m
    while 2 * room + m <= _LONGEST:
        found = _columns(probe, geometry, channels, room, upright=upright)
        first, last = int(found[0]), int(found[-1])
        if first > 0 and last < 2 * room + m - 1:
            return max(room - first, last - (room + m - 1), 0)
        room *= 2
    return None


def _columns(probe: nn.Module, geometry: Geometry, channels: int, room: int, *, upright: bool) -> Tensor:
    """The columns of a strip of 2 * room + multiple pixels that the tile in the middle depends on, in order."""
    m, scale = geometry.multiple, geometry.scale
    generator = torch.Generator().manual_seed(0)
    strip = torch.rand(1, channels, _THICK * m, 2 * room + m, dtype=torch.float64, generator=generator)
    with torch.enable_grad():
        leaf = strip.requires_grad_()
        made: Tensor = probe(leaf.transpose(2, 3) if upright else leaf)
        made = made.transpose(2, 3) if upright else made
        tile = made[..., room * scale : (room + m) * scale]
        weights = torch.rand(tile.shape, dtype=tile.dtype, generator=generator)
        (gradient,) = torch.autograd.grad((tile * weights).sum(), leaf)
    return gradient.abs().sum((0, 1, 2)).nonzero().flatten()


def _positive(network: nn.Module) -> nn.Module:
    probe = copy.deepcopy(network).cpu().double().eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for parameter in probe.parameters():
        if parameter.dim() > 1:
            values = torch.rand(parameter.shape, dtype=torch.float64, generator=generator) + 0.5
            parameter.copy_(values / parameter[0].numel())
    return probe
