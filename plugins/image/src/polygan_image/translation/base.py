"""The common part of recipes that make pictures from pictures of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import torch

from polygan import Checked, Recipe, Samples, in_chunks, ranged

from .geometry import Geometry, padded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from polygan import Request

    from ..data.settings import ImageInfo

C = TypeVar("C")
"""The settings of a recipe."""


@dataclass(frozen=True, kw_only=True)
class Translation(Checked):
    """Options of pictures that are made from pictures."""

    strength: float = ranged(1.0, "[0, 1]")
    """1: the trained network's picture; 0: the picture of the start of its game; between: a blend."""


class PictureToPicture(Recipe[C]):
    """A recipe whose network ``generator`` makes a picture from a picture; a subclass adds its networks and its game.

    Pictures that a user hands in keep their own size (``info["keeps_size"]``).
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
        """The function from given pictures (n, C, H, W) in [-1, 1] to made ones, and its geometry. Default: ``generator``."""
        generator = networks["generator"]
        return generator, cast("Geometry", generator.geometry)

    def preview(self) -> tuple[int, Any]:
        """16 held-out pictures."""
        return 16, self.Sampling()

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """A picture (C, H, W) float32 in [-1, 1] for each given picture, in their order."""
        assert request.given is not None
        network, geometry = self.translator(networks, request.options)

        def make(image: Tensor) -> Tensor:
            return padded(network, image.to(request.device), geometry).float().clamp(-1, 1)

        return Samples(in_chunks(make, request.given.data, size=8))
