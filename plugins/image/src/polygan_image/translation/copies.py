"""Colours of a large picture from a smaller copy: networks know things at the size at which they learned them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

import torch
import torch.nn.functional as F

from polygan import Samples, ranged

from ..colour import lightness, srgb_to_lab
from ..data.values.bands import BAND, bands_of, carried, is_large, pieces_of
from .base import PictureToPicture, Translation
from .lab import coloured
from .transparency import seen, with_alpha

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

    from polygan import Request

C = TypeVar("C")
"""The settings of a recipe."""
_RADIUS = 1
"""Pixels of the copy around a pixel, in which colours follow the lightness by one line."""
_FLAT = 4.0
"""Variance of the lightness, out of 100^2, below which colours do not follow."""


@dataclass(frozen=True, kw_only=True)
class Colouring(Translation):
    """Options of colours for grey pictures."""

    colour_side: int = ranged(0, "[0, inf)")
    """Shorter side, in pixels, of the copy whose colours the network makes; the lightness keeps the size of the picture. 0: as in
    training, or the picture itself if training saw squares of pictures (data.crop)."""


class ColoursOfCopies(PictureToPicture[C]):
    """A recipe that makes colour pictures of grey ones (n, 1, H, W), and takes the colours of large pictures from smaller copies."""

    Sampling: ClassVar[type] = Colouring

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """A picture (3, H, W) float32 in [-1, 1] for each given picture, in their order."""
        given = request.given
        assert given is not None
        side = self._side(request.options.colour_side, given.data)
        if not side:
            return super().generate(networks, request)
        return Samples(torch.cat([*self._bands(networks, request, seen(given), side)], 2))

    def stream(
        self, networks: Mapping[str, nn.Module], pieces: Iterator[Samples], request: Request
    ) -> Iterator[Samples]:
        """The pictures made from the pieces of one file; large ones go out in bands of rows. The grey picture is whole in memory."""
        for first in pieces:
            parts = [*pieces_of(first, pieces)]
            data = torch.cat([seen(part) for part in parts], 2)
            side, (height, width) = self._side(request.options.colour_side, data), data.shape[2:]
            if not side:
                yield from super().stream(networks, iter(parts), request)
                continue
            bands = self._bands(networks, request, data, side)
            if is_large(height, width):
                yield from bands_of(first, bands, height)
            else:
                yield carried(first, torch.cat([*bands], 2))

    def _side(self, asked: int, data: Tensor) -> int:
        """The shorter side of the copy; 0: the picture is not larger, and needs none."""
        learned = 0 if self.facts.get("crop") else min(self.facts["height"], self.facts["width"])
        side = asked or learned
        return side if side < min(data.shape[2:]) else 0

    def _bands(self, networks: Mapping[str, nn.Module], request: Request, data: Tensor, side: int) -> Iterator[Tensor]:
        """Colour pictures in bands of rows, on the CPU, of grey ones (n, 1 or 2, H, W); a second channel is alpha."""
        data, transparent = data.cpu(), data.shape[1] > 1
        copy = shrunk(data[:, :1], side)
        made = srgb_to_lab(self._whole(networks, request, copy, transparent=False))
        guide = followed(lightness(copy), made[:, 1:])

        def rows(top: int) -> Tensor:
            band = data[:, :, top : top + BAND]

            def colour(grey: Tensor) -> Tensor:
                return coloured(grey, colours(guide, lightness(grey), top, data.shape[2])).clamp(-1, 1)

            make = with_alpha(colour, self.translator(networks, request.options)[1])[0] if transparent else colour
            return make(band)

        return (rows(top) for top in range(0, data.shape[2], BAND))


class Guide(NamedTuple):
    """Lines that give a and b at each pixel of a copy: ``slope`` times the lightness plus ``offset``, both (n, 2, h, w)."""

    slope: Tensor
    offset: Tensor


def shrunk(image: Tensor, side: int) -> Tensor:
    """Pictures (n, C, H, W) whose shorter side becomes ``side`` pixels, bilinear with antialiasing."""
    height, width = image.shape[2:]
    size = [max(1, round(length * side / min(height, width))) for length in (height, width)]
    return F.interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False)


def followed(light: Tensor, ab: Tensor) -> Guide:
    """Lines by which a and b (n, 2, h, w) follow the lightness (n, 1, h, w) in [0, 100]: the guided filter.

    He, Sun and Tang 2013 ("Guided image filtering", eq. 5, 6 and 8), whose coefficients are enlarged as in He and Sun 2015 ("Fast
    guided filter"). At an edge of the lightness, enlarged colours then end there too.
    """
    mean_light, mean_ab = _mean(light), _mean(ab)
    variance = _mean(light.square()) - mean_light.square()
    slope = (_mean(light * ab) - mean_light * mean_ab) / (variance.clamp(min=0) + _FLAT)
    return Guide(_mean(slope), _mean(mean_ab - slope * mean_light))


def _mean(x: Tensor) -> Tensor:
    """Means over squares around each pixel, of the pixels that lie in the picture."""
    return F.avg_pool2d(x, 2 * _RADIUS + 1, 1, _RADIUS, count_include_pad=False)


def colours(guide: Guide, light: Tensor, top: int, height: int) -> Tensor:
    """a and b (n, 2, h, W) of the rows from ``top`` of a picture with ``height`` rows, whose lightness there is (n, 1, h, W).

    The lines are enlarged by bilinear interpolation, for these rows alone.
    """
    n, _, rows, width = light.shape
    y = (torch.arange(top, top + rows) + 0.5) * (2 / height) - 1
    x = (torch.arange(width) + 0.5) * (2 / width) - 1
    grid = torch.stack([x.expand(rows, -1), y[:, None].expand(-1, width)], -1).expand(n, -1, -1, -1)
    slope, offset = (F.grid_sample(part, grid, padding_mode="border", align_corners=False) for part in guide)
    return slope * light + offset
