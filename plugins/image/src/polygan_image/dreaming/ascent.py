"""Gradient ascent on the layers of a network, from small pictures to large ones (Mordvintsev et al. 2015, "Inceptionism")."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from tqdm import tqdm

from polygan import Checked, ConfigError, Samples, mix, ranged

from ..data import pictures
from ..data.domain import ImageDomain
from ..data.given import grey
from .layers import chosen
from .networks import Dreamer, of_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from .layers import Layer
    from .networks import Values

_LEAST = 16  # pixels of the smaller side of the smallest octave
_WHOLE = 768 * 768  # pixels that are shown to a network at once, unless a tile is named
_TILE = 512
PROBE = 224  # pixels of the picture by which the layers are found
_GUIDE = 224  # pixels of the smaller side of a guide


@dataclass(frozen=True, kw_only=True)
class Ascent(Checked):
    """How a picture is dreamed."""

    layers: tuple[str, ...] = ()
    """What to excite: NAME, NAME:CHANNEL, NAME=WEIGHT, several with spaces; empty: a layer in the middle."""
    octaves: int = ranged(4, "[1, 20]")
    """Sizes at which the picture is dreamed, from small to large."""
    octave_scale: float = ranged(1.4, "(1, 4]")
    """How much larger the next octave is."""
    steps: int = ranged(10, "[1, inf)")
    """Steps of an octave."""
    rate: float = ranged(0.02, "(0, 1]")
    """How far a step moves a pixel in the mean, where black is -1 and white 1."""
    jitter: int = ranged(32, "[0, inf)")
    """Pixels by which the picture is shifted at most before each step, so that the borders of layers leave no trace."""
    tile: int = ranged(0, "0 or [16, inf)")
    """Side in pixels of the squares that the network sees; 0: the whole picture up to 590,000 pixels, else squares of 512."""
    original_colours: bool = False
    """Only the lightness is dreamed."""


def dream(
    network: nn.Module | Dreamer,
    picture: Any,
    *,
    guide: Any = None,
    seed: int = 0,
    values: Values = "symmetric",
    device: str = "cpu",
    progress: bool | None = None,
    **options: Any,
) -> Samples:
    """A picture, dreamed by a network: its layers are excited by gradient ascent on the pixels.

    ``picture`` and ``guide`` are a path, a PIL picture, bytes (H, W, C), or floats (C, H, W) in [-1, 1]; the result has the size of
    ``picture``, and its transparency. ``options`` are the fields of `Ascent`. With a ``guide``, the layers are excited where they
    resemble the guide. The same seed gives the same picture to the bit on the same machine. ``progress`` None: a bar on a terminal.
    Raises ConfigError for layers that do not exist, and for a network without gradients.
    """
    dreamer = network if isinstance(network, Dreamer) else of_module(network, values, device)
    ascent = Ascent(**options)
    image = taken(picture)
    source = Source(dreamer, ascent, None if guide is None else taken(guide))
    with tqdm(total=ascent.octaves * ascent.steps, desc="dreaming", disable=_quiet(progress), leave=False) as bar:
        return Samples(source.dreamt(image, seed, bar.update), ImageDomain())


def zoom(
    network: nn.Module | Dreamer,
    picture: Any,
    frames: int,
    *,
    by: float = 0.05,
    guide: Any = None,
    seed: int = 0,
    values: Values = "symmetric",
    device: str = "cpu",
    progress: bool | None = None,
    **options: Any,
) -> Samples:
    """``frames`` pictures of a flight into a dream: each is the centre of the last, larger by the share ``by``, dreamed again.

    The result is an animation (`Samples` of kind ``"frames"``). See `dream`.
    """
    dreamer = network if isinstance(network, Dreamer) else of_module(network, values, device)
    ascent = Ascent(**options)
    source = Source(dreamer, ascent, None if guide is None else taken(guide))
    total = frames * ascent.octaves * ascent.steps
    with tqdm(total=total, desc="dreaming", disable=_quiet(progress), leave=False) as bar:
        made = [*_flight(source, taken(picture), frames, by, seed, bar.update)]
    return Samples(torch.cat(made), ImageDomain(), kind="frames")


def _flight(
    source: Source, image: Tensor, frames: int, by: float, seed: int, done: Callable[[], object]
) -> Iterator[Tensor]:
    height, width = image.shape[2:]
    rows, columns = (max(1, round(side / (1 + by))) for side in (height, width))
    for k in range(frames):
        image = source.dreamt(image, mix(seed, k) if k else seed, done)
        yield image
        top, left = (height - rows) // 2, (width - columns) // 2
        image = _resized(image[:, :, top : top + rows, left : left + columns], (height, width))


class Source:
    """What dreams: a network, the layers that are excited, and their outputs for the guide."""

    def __init__(self, dreamer: Dreamer, ascent: Ascent, guide: Tensor | None = None) -> None:
        self.dreamer, self.ascent = dreamer, ascent
        found, fault = dreamer.probe(ascent.tile or PROBE)
        self.layers: Sequence[Layer] = chosen(
            ascent.layers, {name: v.shape for name, v in found.items()}, fault and f" ({fault})"
        )
        self.guides: dict[str, Tensor] = {}
        if guide is not None:
            height, width = guide.shape[2:]
            shrink = ascent.tile / min(height, width) if ascent.tile else min(1.0, _GUIDE / min(height, width))
            size = (ascent.tile, ascent.tile) if ascent.tile else (round(height * shrink), round(width * shrink))
            with torch.no_grad():
                self.guides = dreamer.outputs(_resized(guide[:, :3], size).to(dreamer.device), self._names)

    @property
    def _names(self) -> set[str]:
        return {layer.name for layer in self.layers}

    def dreamt(self, image: Tensor, seed: int, done: Callable[[], object]) -> Tensor:
        """A picture (1, 3 or 4, H, W) in [-1, 1], dreamed, on the CPU. ``done`` is called after each step."""
        a, original = self.ascent, image
        image = image[:, :3].to(self.dreamer.device)
        sizes = _octaves(image.shape[2], image.shape[3], a.octaves, a.octave_scale)
        made = image
        for k, size in enumerate(sizes):
            base = _resized(image, size)
            made = made.add_(base) if k else base.clone()  # the detail of the smaller octave, enlarged
            for step in range(a.steps):
                generator = torch.Generator().manual_seed(mix(seed, k, step))
                self._step(made, generator)
                done()
            if k + 1 < len(sizes):
                made = _resized(made.sub_(base), sizes[k + 1])
        made = made.cpu()
        if a.original_colours:
            made = (original[:, :3] + grey(made) - grey(original[:, :3])).clamp_(-1, 1)
        return torch.cat([made, original[:, 3:]], 1) if original.shape[1] == 4 else made

    def _step(self, x: Tensor, generator: torch.Generator) -> None:
        """A step up the mean gradient of all squares, in place; the squares lie elsewhere in each step."""
        height, width = x.shape[2:]
        tile = self.ascent.tile or (0 if height * width <= _WHOLE else _TILE)
        reach = tile or self.ascent.jitter
        dy, dx = (int(torch.randint(reach + 1, (), generator=generator)) for _ in range(2))
        gradient = torch.empty_like(x)
        for rows, own_rows in _squares(height, tile, dy, fixed=bool(self.ascent.tile)):
            for columns, own_columns in _squares(width, tile, dx, fixed=bool(self.ascent.tile)):
                rows, columns = rows.to(x.device), columns.to(x.device)
                part = self._gradient(x.index_select(2, rows).index_select(3, columns))
                place = rows[:own_rows, None], columns[None, :own_columns]
                gradient[:, :, place[0], place[1]] = part[:, :, :own_rows, :own_columns]
        size = gradient.abs().mean(dtype=torch.float64).clamp(min=1e-12)
        x.addcmul_(gradient, (self.ascent.rate / size).to(x.dtype)).clamp_(-1, 1)

    def _gradient(self, seen: Tensor) -> Tensor:
        """The gradient (1, 3, h, w) of the excitement of all layers by the pixels of a square."""
        seen = seen.detach().requires_grad_(True)
        pixels = seen.shape[2] * seen.shape[3]
        with torch.enable_grad():
            found = self.dreamer.outputs(seen, self._names)
            total = (
                sum(layer.excitement(found[layer.name], self.guides.get(layer.name)) for layer in self.layers) * pixels
            )
            if not isinstance(total, torch.Tensor) or not total.requires_grad:
                raise ConfigError(
                    f"layer {self.layers[0].name!r} of {self.dreamer.name} has no gradient by the picture; use a network of floats "
                    "that is not wrapped in no_grad"
                )
            return torch.autograd.grad(total, seen)[0]


def _squares(side: int, tile: int, shift: int, *, fixed: bool) -> Iterator[tuple[Tensor, int]]:
    """The places of a side in pieces of ``tile`` (0: one piece), begun at ``shift`` and wrapped, and how many of each are its own.

    ``fixed``: each piece has exactly ``tile`` places, of which some may be another piece's or stand twice.
    """
    tile = tile or side
    for begin in range(0, side, tile):
        own = min(tile, side - begin)
        yield (torch.arange(tile if fixed else own) + begin + shift) % side, own


def _octaves(height: int, width: int, number: int, scale: float) -> list[tuple[int, int]]:
    """The sizes (height, width) of the octaves, from small to large; octaves below 16 pixels are left out."""
    least = min(_LEAST, height, width)
    sizes = [(round(height / scale**k), round(width / scale**k)) for k in reversed(range(number))]
    return [size for size in sizes if min(size) >= least]


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[2:]) == size:
        return image
    return F.interpolate(image, size=size, mode="bilinear", antialias=True)


def taken(value: Any) -> Tensor:
    """(1, 3 or 4, H, W) float32 in [-1, 1] of a path, a PIL picture, bytes (H, W), (H, W, C) or floats (C, H, W) in [-1, 1]."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        image = (value[None] if value.dim() == 3 else value).detach().float().cpu()
        if image.dim() != 4 or len(image) != 1 or image.shape[1] not in (1, 3, 4):
            raise ConfigError(
                f"{tuple(value.shape)} is no picture; hand over floats (C, H, W) in [-1, 1] with 1, 3 or 4 channels"
            )
        return image.expand(-1, 3, -1, -1).clone() if image.shape[1] == 1 else image.clone()
    if isinstance(value, str | Path):
        values = pictures.open_picture(Path(value).expanduser(), None, _bytes)
    else:
        values = _bytes(value if isinstance(value, Image.Image) else Image.fromarray(np.asarray(value)))
    return torch.from_numpy(values).float().div_(127.5).sub_(1)[None]


def _bytes(picture: Image.Image) -> np.ndarray:
    """uint8 (3 or 4, H, W)."""
    size = pictures.upright_size(picture)
    return pictures.to_array(picture, size, 4 if pictures.has_alpha(picture) else 3, "crop")


def _quiet(progress: bool | None) -> bool | None:
    return None if progress is None else not progress
