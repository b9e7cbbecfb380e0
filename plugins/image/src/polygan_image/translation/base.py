"""The common part of recipes that make pictures from pictures of any size."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, cast

import torch

from polygan import Checked, ConfigError, Recipe, Samples, ranged

from .mosaic import Band, Mosaic
from .transparency import with_alpha

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor, nn

    from polygan import Request

    from ..data.settings import ImageInfo
    from .geometry import Geometry

C = TypeVar("C")
"""The settings of a recipe."""


@dataclass(frozen=True, kw_only=True)
class Translation(Checked):
    """Options of pictures that are made from pictures."""

    strength: float = ranged(1.0, "[0, 1]")
    """1: the trained network's picture; 0: the picture of the start of its game, or without a start the given picture; between: a
    blend."""
    tile: int = ranged(0, "[0, inf)")
    """The largest side of a tile in pixels of the given picture; 0: chosen, and small pictures are made whole. Tiles leave no seams."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: faster on processors that compute in bf16, and about three digits of each value."""


class PictureToPicture(Recipe[C]):
    """A recipe whose network ``generator`` makes a picture from a picture; a subclass adds its networks and its game.

    Pictures that a user hands in keep their own size (``info["keeps_size"]``). A subclass overrides `translator`, and pictures of any
    size, tiles, options and transparent pictures follow.
    """

    domain = "image"
    given = "image"
    Sampling: ClassVar[type] = Translation
    memory_format = torch.channels_last

    def __init__(self, config: C, info: Mapping[str, Any]) -> None:
        """``info``: `ImageInfo`."""
        super().__init__(config, {**info, "keeps_size": True})
        self.facts = cast("ImageInfo", self.info)

    def translator(
        self, networks: Mapping[str, nn.Module], options: Any
    ) -> tuple[Callable[[Tensor], Tensor], Geometry]:
        """The function from given pictures (n, C, H, W) in [-1, 1] to made ones, and its geometry. Default: ``generator``.

        Where there is a network ``start``, an override takes care of ``options.strength``.
        """
        generator = networks["generator"]
        return generator, cast("Geometry", generator.geometry)

    def preview(self) -> tuple[int, Any]:
        """16 held-out pictures."""
        return 16, self.Sampling()

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """A picture (C, H, W) float32 in [-1, 1] for each given picture, in their order."""
        given = request.given
        assert given is not None
        data, alpha = given.data, given.extra.get("alpha")
        make = self._mosaic(networks, request, transparent=alpha is not None)
        return Samples(make(data if alpha is None else torch.cat([data, alpha], 1)))

    def stream(
        self, networks: Mapping[str, nn.Module], pieces: Iterator[Samples], request: Request
    ) -> Iterator[Samples]:
        """What is made from the pieces of one file: from bands of a large picture bands, else a picture for each picture.

        A band has ``extra["rows"]``: the number of its first row, and the height of its picture.
        """
        for piece in pieces:
            if "rows" in piece.extra:
                yield from self._bands(networks, itertools.chain([piece], pieces), request)
                return
            made = self.generate(networks, replace(request, n=len(piece), given=piece))
            yield replace(made, names=piece.names, extra={**_handed_on(piece), **made.extra})

    def _bands(
        self, networks: Mapping[str, nn.Module], pieces: Iterator[Samples], request: Request
    ) -> Iterator[Samples]:
        first = next(pieces)
        make = self._mosaic(networks, request, transparent="alpha" in first.extra)
        for band in make.bands(map(_band, itertools.chain([first], pieces))):
            rows = {"rows": (band.top, band.height)}
            yield Samples(band.data, names=first.names, extra={**_handed_on(first), **rows})

    def _mosaic(self, networks: Mapping[str, nn.Module], request: Request, *, transparent: bool) -> Mosaic:
        options = request.options
        network, geometry = self.translator(networks, options)
        if options.strength < 1 and "start" not in networks:
            network = _blended(network, options.strength)
        if transparent:
            network, geometry = with_alpha(network, geometry)
        return Mosaic(network, geometry, request.device, tile=options.tile, precision=options.precision)


def _blended(network: Callable[[Tensor], Tensor], strength: float) -> Callable[[Tensor], Tensor]:
    """Given pictures and what ``network`` makes of them, blended."""

    def blend(image: Tensor) -> Tensor:
        made = network(image)
        if made.shape != image.shape:
            raise ConfigError(
                f"strength = {strength:g} blends given and made pictures, and here they differ in channels or size; leave --strength out"
            )
        return torch.lerp(image.to(made.dtype), made, strength)

    return blend


def _band(piece: Samples) -> Band:
    alpha = piece.extra.get("alpha")
    top, height = piece.extra["rows"]
    return Band(piece.data if alpha is None else torch.cat([piece.data, alpha], 1), top, height)


def _handed_on(piece: Samples) -> dict[str, Any]:
    """The extras of a given picture that made pictures have too (a header). The domain adds the window of the data."""
    own = ("alpha", "dtype", "label_map", "rows", "window")
    return {name: value for name, value in piece.extra.items() if name not in own}
