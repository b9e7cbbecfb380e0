"""The command ``polygan dream``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from polygan import DataError, ranged, read_options

from ..data.domain import ImageDomain
from .ascent import PROBE, Ascent, dream, zoom
from .networks import Values, open_network

if TYPE_CHECKING:
    from .networks import Dreamer


@dataclass(frozen=True, kw_only=True)
class Dream(Ascent):
    """Excite the layers of a network by changing a picture: what the network looks for appears in the picture."""

    network: str = ""
    """A run (runs/NAME), an exported program (.pt2), an ONNX file, or opennsfw."""
    input: str = ""
    """The picture; empty: noise of 512 x 512 pixels."""
    out: str = "dream.png"
    """The dreamed picture; with --zoom an animation (.webp, .gif) or a folder."""
    list_layers: bool = False
    """Only list the layers of the network with the shapes of their outputs for 224 x 224 pixels."""
    player: str = "discriminator"
    """Which network of a run."""
    label: str = ""
    """The class that a discriminator is told, where it is told classes; empty: the first."""
    values: Values = "symmetric"
    """What the network takes for black and white: symmetric (-1, 1), unit (0, 1), bytes (0, 255), imagenet (its means and deviations)."""
    guide: str = ""
    """A second picture: layers are excited where they resemble their outputs for this picture."""
    zoom: float = ranged(0.0, "[0, 1]", hint="0.05 is a slow flight")
    """Share by which the centre grows from a frame to the next; 0: one picture."""
    frames: int = ranged(60, "[2, inf)")
    """Frames of --zoom."""
    seed: int = ranged(0, "[0, inf)")
    """Of the shifts, and of the noise without --input."""
    device: str = "cpu"
    """cpu, cuda, cuda:1 or mps. A network of a run also takes auto."""
    allow_code: bool = False
    """Load a .pt2 file, which runs code that the file holds."""


def main(words: list[str]) -> None:
    """Dream a picture or frames, and print the files."""
    options = read_options("dream", Dream, words, first="network")
    if options is None:
        return
    target, domain = Path(options.out), ImageDomain()
    if not options.list_layers:
        domain.check_place(target)
    network = open_network(
        options.network, player=options.player, label=options.label, values=options.values, device=options.device,
        allow_code=options.allow_code,
    )  # fmt: skip
    if options.list_layers:
        _list(network, options)
        return
    ascent = {f.name: asdict(options)[f.name] for f in fields(Ascent)}
    picture = _picture(options)
    shared = {"guide": options.guide or None, "seed": options.seed, **ascent}
    try:
        if options.zoom:
            samples = zoom(network, picture, options.frames, by=options.zoom, **shared)
        else:
            samples = dream(network, picture, **shared)
    except OSError as error:
        raise DataError(f"{error.filename or options.input}: {error.strerror or error}") from None
    for file in samples.save(target):
        print(file)


def _picture(options: Dream) -> object:
    if options.input:
        return options.input
    generator = torch.Generator().manual_seed(options.seed)
    return (torch.randn(3, 512, 512, generator=generator) * 0.1).clamp(-1, 1)


def _list(network: Dreamer, options: Dream) -> None:
    found, fault = network.probe(options.tile or PROBE)
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {' x '.join(map(str, value.shape[1:]))}")
    if fault:
        print(f"the layers after {[*found][-1]} are not shown: {fault}")
