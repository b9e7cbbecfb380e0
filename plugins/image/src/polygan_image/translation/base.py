"""The common part of recipes that make pictures from pictures of any size."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, cast

import torch

from polygan import Checked, ConfigError, Recipe, Samples, in_chunks, ranged

from ..data.values.bands import bands_of, carried, is_large, pieces_of
from . import tiles
from .transparency import seen, with_alpha

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor, nn

    from polygan import Request

    from ..data.settings import ImageInfo
    from ..geometry import Geometry

C = TypeVar("C")
"""The settings of a recipe."""
_CHUNK = 8  # pictures that a network sees at once


@dataclass(frozen=True, kw_only=True)
class Translation(Checked):
    """Options of pictures that are made from pictures."""

    tile: int = ranged(0, "[0, inf)")
    """Side, in pixels of the given picture, of the squares that are made one by one, without seams; 0: whole where it fits, else a
    chosen size."""
    strength: float = ranged(1.0, "[0, 1]")
    """1: the network's picture; 0: the picture of the start of its game or, without one, the given picture; between: a blend."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Numbers inside the networks: fp32, or bf16, which is faster on some devices and rougher."""


class PictureToPicture(Recipe[C]):
    """A recipe whose network ``generator`` makes a picture from a picture; a subclass adds its networks and its game.

    Pictures that a user hands in keep their own size (``info["keeps_size"]``). Large ones are made in tiles and bands.
    """

    domain = "image"
    given = "image"
    Sampling: ClassVar[type] = Translation
    memory_format = torch.channels_last

    def __init__(self, config: C, info: Mapping[str, Any]) -> None:
        """``info``: `ImageInfo`."""
        super().__init__(config, {**info, "keeps_size": True})
        self.facts = cast("ImageInfo", self.info)
        self._warned = False

    def translator(
        self, networks: Mapping[str, nn.Module], options: Any
    ) -> tuple[Callable[[Tensor], Tensor], Geometry]:
        """The function from given pictures (n, C, H, W) in [-1, 1] to made ones, and its geometry. Default: ``generator``.

        A recipe with a variant ``start`` blends by ``options.strength`` here. Tiles, precision and clipping to [-1, 1] come around
        the function, and so does a blend with the given picture where there is no ``start``.
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
        return Samples(self._whole(networks, request, seen(given), "alpha" in given.extra))

    def stream(
        self, networks: Mapping[str, nn.Module], pieces: Iterator[Samples], request: Request
    ) -> Iterator[Samples]:
        """The pictures made from the pieces of one file. What comes in bands of rows, or is large, goes out in bands."""
        for first in pieces:
            height, width = first.data.shape[2:]
            height = first.extra.get("rows", (0, height))[1]
            transparent = "alpha" in first.extra
            make, geometry = self._maker(networks, request, transparent)
            if not is_large(height * geometry.scale, width * geometry.scale):
                made = self._whole(networks, request, _joined(first, pieces, height), transparent)
                yield carried(first, made)
                continue
            plan = self._plan(height, width, geometry, request)
            if plan.is_whole(height, width):
                made = self._whole(networks, request, _joined(first, pieces, height), transparent)
                yield from bands_of(first, iter([made]), made.shape[2])
                continue
            reader = tiles.Reader((seen(piece) for piece in pieces_of(first, pieces)), height)
            made_bands = tiles.made_bands(make, reader, geometry, plan, request.device)
            yield from bands_of(first, made_bands, height * geometry.scale)

    def _whole(self, networks: Mapping[str, nn.Module], request: Request, data: Tensor, transparent: bool) -> Tensor:
        make, geometry = self._maker(networks, request, transparent)
        height, width = data.shape[2:]
        plan = self._plan(height, width, geometry, request)

        def made(image: Tensor) -> Tensor:
            return tiles.tiled(make, image, geometry, plan, request.device)

        if len(data) == 1:
            return made(data)
        size = _CHUNK if plan.is_whole(height, width) and not is_large(height, width) else 1
        return in_chunks(made, data, size=size)

    def _plan(self, height: int, width: int, geometry: Geometry, request: Request) -> tiles.Plan:
        tile = request.options.tile
        found = tiles.plan(height, width, geometry, tile, request.device.type)
        if geometry.halo is None and not found.is_whole(height, width) and not self._warned:
            self._warned = True
            logging.getLogger("polygan").warning(
                f"This network sees the whole picture at once, so tiles of {tile} pixels may differ in tone and show seams. "
                "Leave --tile out to make the picture whole."
            )
        return found

    def _maker(
        self, networks: Mapping[str, nn.Module], request: Request, transparent: bool
    ) -> tuple[Callable[[Tensor], Tensor], Geometry]:
        """The `translator`'s function with options of all recipes: float32 in [-1, 1] out. ``transparent``: see `with_alpha`."""
        options = request.options
        translate, geometry = self.translator(networks, options)
        blends = options.strength != 1 and "start" not in getattr(self, "variants", {})

        def make(image: Tensor) -> Tensor:
            with _in_precision(networks, options.precision, request.device):
                made = translate(image).float().clamp(-1, 1)
            if not blends:
                return made
            if made.shape != image.shape or "values" in self.facts.get("given", {}):
                raise ConfigError(
                    f"strength = {options.strength:g} blends the made with the given picture, and the two differ in channels or size; "
                    "leave --strength out"
                )
            return torch.lerp(image, made, options.strength)

        return with_alpha(make, geometry) if transparent else (make, geometry)


def _joined(first: Samples, pieces: Iterator[Samples], height: int) -> Tensor:
    """The whole picture whose first band is ``first``."""
    bands = [seen(piece) for piece in pieces_of(first, pieces)]
    return bands[0] if len(bands) == 1 else torch.cat(bands, 2)


@contextmanager
def _in_precision(networks: Mapping[str, nn.Module], precision: str, device: torch.device) -> Iterator[None]:
    """Networks that compute in this precision. What a recipe computes around them stays in float32."""
    if precision == "fp32":
        yield
        return
    entered: list[torch.autocast] = []

    def enter(*_: object) -> None:
        entered.append(torch.autocast(device.type, dtype=torch.bfloat16))
        entered[-1].__enter__()

    def leave(*_: object) -> None:
        entered.pop().__exit__(None, None, None)

    handles = [network.register_forward_pre_hook(enter) for network in set(networks.values())]
    handles += [network.register_forward_hook(leave, always_call=True) for network in set(networks.values())]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
