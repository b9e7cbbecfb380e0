"""Pictures of any size through a network, tile by tile: the same pixels as those of the whole picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from polygan import ConfigError

from ..geometry import padded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from ..geometry import Geometry

ROOM = {"cpu": 2**17, "cuda": 2**20}
"""Input pixels that a network sees at once, by type of device. A map of 64 channels then has 32 MB on a CPU, which is the size up
to which the usual allocator uses memory again; beyond that, each layer of a network waits for new memory."""
_MADE = 2**24  # made pixels of a row of tiles, which is whole in memory
_OVERLAP = 4  # tiles of a network without an exact halo see a quarter of a tile around them


class Plan(NamedTuple):
    """Tiles of (rows, columns) input pixels, multiples of the network's; the network sees ``halo`` pixels more on each side."""

    rows: int
    columns: int
    halo: int

    def is_whole(self, height: int, width: int) -> bool:
        """Whether one tile holds a picture of this size."""
        return self.rows >= height and self.columns >= width


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def plan(height: int, width: int, geometry: Geometry, tile: int = 0, device: str = "cpu") -> Plan:
    """The tiles of a picture: whole where ``tile`` is 0 and the picture fits; else of ``tile`` pixels a side, or of a chosen size.

    Raises ConfigError for a tile that is not larger than the halo. A network without an exact halo (None) sees the whole picture, or
    tiles of ``tile`` pixels that see a quarter of a tile more on each side.
    """
    m, halo = geometry.multiple, geometry.halo
    if tile and halo is not None and tile <= halo:
        raise ConfigError(
            f"tile = {tile} is too small: this network sees {halo} pixels around a tile; type --tile {_up(halo + 1, 64)} or more, "
            "or leave --tile out"
        )
    if tile:
        side = _up(tile, m)
        around = _up(side // _OVERLAP if halo is None else halo, m)
        return Plan(_even(height, side, m), _even(width, side, m), around)
    if halo is None or height * width <= (room := _room(geometry, halo, device)):
        return Plan(_up(height, m), _up(width, m), 0)
    most = _MADE // (geometry.scale**2 * width)
    return _cheapest(height, width, Plan(m, m, _up(halo, m)), room, max(most, halo, m))


def _room(geometry: Geometry, halo: int, device: str) -> int:
    """Pixels of a tile with its halo. A tile has at least the side of its halo, or most pixels would be computed twice."""
    return max(ROOM.get(device, ROOM["cuda"]), (3 * _up(halo, geometry.multiple) + geometry.multiple) ** 2)


def _even(length: int, side: int, multiple: int) -> int:
    """The side of tiles that are about equally large and at most ``side``."""
    return _up(math.ceil(length / math.ceil(length / side)), multiple)


def _cheapest(height: int, width: int, smallest: Plan, room: int, most: int) -> Plan:
    """The tiles of at most ``most`` rows that fit ``room`` with their halo, and have the fewest pixels with it."""
    m, halo = smallest.rows, smallest.halo

    def seen(length: int, side: int) -> int:
        return min(side + 2 * halo, _up(length, m))

    best: tuple[int, Plan] | None = None
    for across in range(1, math.ceil(width / m) + 1):
        columns = _up(math.ceil(width / across), m)
        rows = min(room // seen(width, columns) - 2 * halo, most)
        if rows < m:
            continue
        rows = _even(height, rows // m * m, m)
        down, across = math.ceil(height / rows), math.ceil(width / columns)
        cost = (height + 2 * halo * (down - 1)) * (width + 2 * halo * (across - 1))
        if best is None or cost < best[0]:
            best = cost, Plan(rows, columns, halo)
        elif columns <= halo:
            break  # still narrower tiles cost only more
    assert best is not None, "the room has space for one tile of the network's multiple"
    return best[1]


class Reader:
    """The rows of pictures that come in bands (n, C, h, W); rows above those asked for last are forgotten."""

    def __init__(self, bands: Iterator[Tensor], height: int) -> None:
        """``height``: rows of all bands together."""
        self.bands, self.height = bands, height
        self.start = 0
        self.held: list[Tensor] = []

    def rows(self, top: int, bottom: int) -> Tensor:
        """Rows [top, bottom); ``top`` never falls from call to call."""
        while self.held and self.start + self.held[0].shape[2] <= top:
            self.start += self.held.pop(0).shape[2]
        have = self.start + sum(band.shape[2] for band in self.held)
        while have < bottom:
            self.held.append(next(self.bands))
            have += self.held[-1].shape[2]
            if len(self.held) == 1 and have <= top:
                self.start += self.held.pop().shape[2]
        whole = self.held[0] if len(self.held) == 1 else torch.cat(self.held, 2)
        return whole[:, :, top - self.start : bottom - self.start]


def made_bands(
    network: Callable[[Tensor], Tensor], reader: Reader, geometry: Geometry, plan: Plan, device: torch.device
) -> Iterator[Tensor]:
    """What ``network`` makes of the pictures, on the CPU, in bands (n, C, h * scale, W * scale) from the top.

    Only at the pictures' own edges does the network see edges, and there it sees the same as in the whole picture.
    """
    height = reader.height
    for top in range(0, height, plan.rows):
        bottom = min(top + plan.rows, height)
        first, last = max(0, top - plan.halo), min(_up(bottom, geometry.multiple) + plan.halo, height)
        yield _row_of_tiles(network, reader.rows(first, last), (top - first, bottom - first), geometry, plan, device)


def _row_of_tiles(
    network: Callable[[Tensor], Tensor],
    strip: Tensor,
    rows: tuple[int, int],
    geometry: Geometry,
    plan: Plan,
    device: torch.device,
) -> Tensor:
    """Rows [rows[0], rows[1]) of what is made of ``strip``, in its full width."""
    width, scale = strip.shape[3], geometry.scale
    made: Tensor | None = None
    for left in range(0, width, plan.columns):
        right = min(left + plan.columns, width)
        first, last = max(0, left - plan.halo), min(_up(right, geometry.multiple) + plan.halo, width)
        window = strip[:, :, :, first:last].to(device).contiguous(memory_format=torch.channels_last)
        tile = padded(network, window, geometry)[:, :, rows[0] * scale : rows[1] * scale]
        tile = tile[..., (left - first) * scale : (right - first) * scale]
        if plan.columns >= width:
            return tile.cpu()
        if made is None:
            made = torch.empty(*tile.shape[:3], width * scale, dtype=tile.dtype)
        made[..., left * scale : right * scale] = tile
    assert made is not None
    return made


def tiled(
    network: Callable[[Tensor], Tensor], image: Tensor, geometry: Geometry, plan: Plan, device: torch.device
) -> Tensor:
    """What ``network`` makes of pictures (n, C, H, W), on the CPU; in one piece where the plan is one tile."""
    height, width = image.shape[2:]
    if plan.is_whole(height, width):
        return padded(network, image.to(device), geometry).cpu()
    made, top = None, 0
    for band in made_bands(network, Reader(iter([image]), height), geometry, plan, device):
        if made is None:
            made = torch.empty(*band.shape[:2], height * geometry.scale, band.shape[3], dtype=band.dtype)
        made[:, :, top : top + band.shape[2]] = band
        top += band.shape[2]
    assert made is not None
    return made
