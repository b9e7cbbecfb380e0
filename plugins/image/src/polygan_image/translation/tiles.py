"""Tiles without seams: where tiles and their halos lie, and how large they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.overrides import TorchFunctionMode

from polygan import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from torch import Tensor

    from .geometry import Geometry

_QUICK = (
    28 * 2**20
)  # bytes of a map on a CPU: larger maps leave the cache, and the allocator fetches fresh pages for each
_SLOWER = 1.35  # time of a pixel in larger maps, measured with 16 convolutions of 64 channels
_ROOM = 192 * 2**20  # bytes of the widest map of a tile on a CPU; a network holds about four such maps
_SHARE = 6  # of an accelerator's free memory, the part that the widest map of a tile may take
_ROWS = 96 * 2**20  # output values of a row of tiles that is kept until its last tile is made
_PROBE = 64
LOOSE = 32
"""Pixels around a tile that a network sees whose output depends on the whole picture."""


class Span(NamedTuple):
    """One side of a tile: its pixels [start, end), and the pixels [low, high) that its network sees."""

    start: int
    end: int
    low: int
    high: int


class Tile(NamedTuple):
    """The largest height and width of tiles in pixels of the given picture, without their halo."""

    height: int
    width: int


def spans(size: int, tile: int, geometry: Geometry) -> list[Span]:
    """Tiles of at most about ``tile`` pixels along a side of ``size`` pixels, all about equally long.

    Each starts at a multiple of the network's multiple, and so does what its network sees. ``high`` stops at the picture's edge.
    """
    halo = LOOSE if geometry.halo is None else geometry.halo
    count = -(-size // geometry.aligned(max(1, min(tile, size))))
    step, m = geometry.aligned(-(-size // count)), geometry.multiple
    found = []
    for start in range(0, size, step):
        end = min(start + step, size)
        found.append(Span(start, end, max(0, start - halo) // m * m, min(size, geometry.aligned(end + halo))))
    if len(found) == 1:  # the whole side, without a halo
        return [Span(0, size, 0, size)]
    return found


def check_tile(tile: int, geometry: Geometry) -> None:
    """Raise ConfigError for tiles that are not larger than their halo, since most of the work would be for halos."""
    halo = geometry.halo or 0
    if tile and tile <= halo:
        raise ConfigError(
            f"tile = {tile} is not larger than the {halo} pixels around a tile that this network sees; type --tile {2 * halo} or "
            "more, or leave --tile out"
        )


class _Widest(TorchFunctionMode):
    """Keeps the largest number of bytes of a map (n, C, H, W) that an operation of torch makes; weights are no maps."""

    found = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for x in made if isinstance(made, list | tuple) else (made,):
            if isinstance(x, torch.Tensor) and x.dim() == 4 and min(x.shape[2:]) > 8:
                self.found = max(self.found, x.nbytes)
        return made


def widest(network: Callable[[Tensor], Tensor], channels: int, geometry: Geometry, device: torch.device) -> float:
    """Bytes for each input pixel of the largest map that ``network`` makes, found with one small picture."""
    side = geometry.aligned(_PROBE)
    image = torch.zeros(1, channels, side, side, device=device)
    with _Widest() as mode:
        network(image)
    return max(mode.found, image.nbytes) / side**2


def chosen(size: tuple[int, int], each: float, geometry: Geometry, device: torch.device) -> Tile:
    """The tiles that take the least time for a picture of ``size`` (height, width): all of it, or squares within the memory.

    ``each`` is `widest` of the network. Halos are computed twice, and maps beyond ``_QUICK`` bytes are slower.
    """
    whole, halo = Tile(*size), geometry.halo
    quick, room = _QUICK / each, _ROOM / each
    if device.type == "cuda":
        quick = room = torch.cuda.mem_get_info(device)[0] / _SHARE / each
    if halo is None or size[0] * size[1] <= quick:
        return whole

    def seconds(side: float, slower: float) -> float:
        return slower * (1 + 2 * halo / side) ** 2 if side > 0 else math.inf

    small, large = math.sqrt(quick) - 2 * halo, math.sqrt(room) - 2 * halo
    costs = {small: seconds(small, 1.0), large: seconds(large, _SLOWER)}
    best = min(costs, key=lambda side: costs[side])
    if size[0] * size[1] <= room and costs[best] > _SLOWER:
        return whole
    side = int(best) if costs[best] < math.inf else 2 * halo  # the halo alone is more than there is room for
    side = max(side // geometry.multiple * geometry.multiple, halo, geometry.multiple)
    return Tile(side, side)


def flat(tile: Tile, width: int, geometry: Geometry) -> Tile:
    """Tiles of the same area, and so low that a row of made tiles of a picture of this ``width`` stays small."""
    halo = geometry.halo or 0
    low = max(halo, 16, _ROWS // (4 * width * geometry.scale**2))
    if tile.height <= low:
        return tile
    across = (tile.height + 2 * halo) * (tile.width + 2 * halo) // (low + 2 * halo) - 2 * halo
    return Tile(low, max(tile.width, across))
