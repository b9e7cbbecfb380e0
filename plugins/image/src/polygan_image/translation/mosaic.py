"""Pictures of any size through a network: whole, tile by tile, or in bands of rows."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import torch

from .geometry import Geometry, padded
from .tiles import Span, Tile, check_tile, chosen, flat, spans, widest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

_SMALL = 2**16  # pixels of a picture that is not measured first
_BATCH = 2**17  # pixels of a batch of whole pictures


class Band(NamedTuple):
    """Rows of a picture: values (n, C, rows, W), the number of the first row, and the height of the picture."""

    data: Tensor
    top: int
    height: int


class Mosaic:
    """A function of pictures with its geometry, on its device, for pictures of any size. Made pictures are float32 on the CPU."""

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        geometry: Geometry,
        device: torch.device | str = "cpu",
        *,
        tile: int = 0,
        precision: str = "fp32",
    ) -> None:
        """``tile``: the largest side of a tile in pixels of the given picture; 0: chosen by the size and the memory.

        Raises ConfigError for a tile that is not larger than its halo.
        """
        check_tile(tile, geometry)
        if tile and geometry.halo is None:
            _warn(tile)
        self.network, self.geometry, self.device = network, geometry, torch.device(device)
        self.tile, self.precision = tile, precision

    def __call__(self, images: Tensor) -> Tensor:
        """The pictures made from pictures (n, C, H, W)."""
        size = images.shape[2], images.shape[3]
        tile = self._tile(size, images.shape[1])
        if tile.height >= size[0] and tile.width >= size[1]:
            each = max(1, _BATCH // (size[0] * size[1]))
            return torch.cat([self._make(images[i : i + each]) for i in range(0, max(1, len(images)), each)])
        return torch.cat([self._tiled(image[None], tile) for image in images])

    def bands(self, given: Iterator[Band]) -> Iterator[Band]:
        """The bands of a picture made from the bands of a given picture, with a few bands in memory at a time.

        Without an exact halo, and without tiles, the picture is made whole.
        """
        first = next(given)
        size = first.height, first.data.shape[3]
        tile = self._tile(size, first.data.shape[1])
        if self.geometry.halo is not None and not self.tile:
            tile = flat(tile, size[1], self.geometry)
        scale, seen = self.geometry.scale, _Window(first, given)
        for down in spans(size[0], tile.height, self.geometry):
            made = self._row(seen.rows(down.low, down.high), down, spans(size[1], tile.width, self.geometry))
            yield Band(made, down.start * scale, size[0] * scale)

    def _tile(self, size: tuple[int, int], channels: int) -> Tile:
        if self.tile:
            return Tile(self.tile, self.tile)
        if self.geometry.halo is None or size[0] * size[1] <= _SMALL:
            return Tile(*size)
        each = widest(self._make, channels, self.geometry, self.device)
        return chosen(size, each, self.geometry, self.device)

    def _tiled(self, image: Tensor, tile: Tile) -> Tensor:
        height, width = image.shape[2:]
        across, scale, whole = spans(width, tile.width, self.geometry), self.geometry.scale, None
        for down in spans(height, tile.height, self.geometry):
            made = self._row(image[:, :, down.low : down.high], down, across)
            if whole is None:
                whole = made.new_empty(*made.shape[:2], height * scale, width * scale)
            whole[:, :, down.start * scale : down.end * scale] = made
        assert whole is not None
        return whole

    def _row(self, rows: Tensor, down: Span, across: list[Span]) -> Tensor:
        """A row of tiles (n, C, h, W) of the made picture, from the rows [low, high) of the given picture."""
        scale, row = self.geometry.scale, None
        top, bottom = (down.start - down.low) * scale, (down.end - down.low) * scale
        for span in across:
            made = self._make(rows[:, :, :, span.low : span.high])
            if row is None:
                row = made.new_empty(*made.shape[:2], bottom - top, across[-1].end * scale)
            left = (span.start - span.low) * scale
            right = left + (span.end - span.start) * scale
            row[..., span.start * scale : span.end * scale] = made[:, :, top:bottom, left:right]
        assert row is not None
        return row

    def _make(self, images: Tensor) -> Tensor:
        images = images.to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            made = padded(self.network, images, self.geometry)
        return made.float().clamp(-1, 1).cpu()


class _Window:
    """Rows of a picture that comes in bands; rows above those that were asked for last are forgotten."""

    def __init__(self, first: Band, more: Iterator[Band]) -> None:
        self.kept, self.top, self.more = [first.data], 0, more
        self.end = first.data.shape[2]

    def rows(self, low: int, high: int) -> Tensor:
        """The rows [low, high) as one tensor; ``low`` never falls."""
        while self.end < high:
            data = next(self.more).data
            self.kept.append(data)
            self.end += data.shape[2]
        while self.top + self.kept[0].shape[2] <= low:
            self.top += self.kept.pop(0).shape[2]
        needed, top = [], self.top
        for data in self.kept:
            needed.append(data[:, :, max(0, low - top) : max(0, high - top)])
            top += data.shape[2]
        return needed[0] if len(needed) == 1 else torch.cat(needed, 2)


@cache
def _warn(tile: int) -> None:
    """Say once for each size of tiles that seams may show."""
    logging.getLogger("polygan").warning(
        f"tile = {tile}: each pixel that this network makes depends on the whole picture (instance norm or attention), so no tiles "
        "are exact: seams may show, and tiles may differ in tone. Leave --tile out to make the whole picture at once."
    )
