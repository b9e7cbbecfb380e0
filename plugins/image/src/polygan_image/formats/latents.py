"""Generators that make pictures from latents as graphs: an ONNX file, or an exported program of torch."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polygan.graphs import Graph, write_graph

from ..latent import fixed_noise, truncate
from ..networks.layers import Resample
from ..networks.stylegan import Generator as StyleGenerator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..base import ImageGAN

EXTRA = "polygan-image[onnx]"
"""What brings the packages of ONNX."""
MOST_NAMES = 1_000
"""Most classes whose names stand in a file; of more, the number does."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What the ONNX file of a style-based generator takes and gives beside the usual."""

    intermediate: bool = False
    """The file also takes ``shift`` (batch, numbers), which is added to the intermediate latents w, and gives ``w`` without the shift."""


def onnx(
    recipe: ImageGAN[Any], networks: Mapping[str, nn.Module], path: Path, options: Exported | None = None
) -> list[Path]:
    """Write what `generate` makes of latents as one ONNX file; see `graph_of` and `polygan.graphs.write_graph`."""
    intermediate = options is not None and options.intermediate
    return [write_graph(graph_of(recipe, networks, intermediate=intermediate), path, "onnx")[0]]


def program(recipe: ImageGAN[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write what `generate` makes of latents as an exported program; see `graph_of` and `polygan.graphs.write_graph`."""
    return [write_graph(graph_of(recipe, networks), path, "pt2")[0]]


def graph_of(recipe: ImageGAN[Any], networks: Mapping[str, nn.Module], *, intermediate: bool = False) -> Graph:
    """The generator as a function of any number of latents.

    ``latents`` float32 (batch, latent size), standard normal; ``classes`` int64 (batch,) where the recipe has classes; ``truncation``
    float32 () for style-based generators. ``made`` float32 (batch, channels, height, width) in [-1, 1].

    ``intermediate``, for style-based generators: ``shift`` float32 (batch, latent size) is added to w = mapping(latents, classes), ahead of
    the truncation; ``w`` (batch, latent size), without the shift, is a second output.
    """
    generator = copy.deepcopy(networks["generator"]).cpu().float().eval().requires_grad_(False)
    styled = isinstance(generator, StyleGenerator)
    trials = [_trial(recipe, n, styled, intermediate) for n in (2, 1, 3)]
    module = with_fixed_filters(_function(copy.deepcopy(generator), intermediate), trials[0])
    made = ["made", "w"] if intermediate else ["made"]
    free = {name: {0: "batch"} for name in ("latents", "classes", "shift", *made) if name in (*trials[0], *made)}
    source = _function(generator, intermediate).eval()
    return Graph(module, trials, made, free, facts(recipe, styled), source=source, extra=EXTRA)


def _function(generator: nn.Module, intermediate: bool) -> nn.Module:
    if not isinstance(generator, StyleGenerator):
        return _Plain(generator)
    return _Shifted(generator) if intermediate else _Styled(generator)


class _Plain(nn.Module):
    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latents: Tensor, classes: Tensor | None = None) -> Tensor:
        return self.generator(latents, classes).clamp(-1, 1)


class _Styled(nn.Module):
    """A style-based generator with the noise maps of `generate`."""

    def __init__(self, generator: StyleGenerator) -> None:
        super().__init__()
        self.generator = generator
        for i, noise in enumerate(fixed_noise(generator)):
            self.register_buffer(f"noise_{i}", noise)

    def forward(self, latents: Tensor, classes: Tensor | None = None, truncation: Tensor | None = None) -> Tensor:
        return self.drawn(self.generator.mapping(latents, classes), truncation)

    def drawn(self, w: Tensor, truncation: Tensor | None) -> Tensor:
        """Pictures (n, C, R, R) of w (n, latent size)."""
        if truncation is not None:
            w = truncate(self.generator, w, truncation)
        styles = w[:, None].expand(-1, self.generator.style_count, -1)
        maps = [self.get_buffer(f"noise_{i}") for i in range(len(self.generator.noise_sizes))]
        return self.generator.synthesise(styles, maps).clamp(-1, 1)


class _Shifted(nn.Module):
    """A style-based generator whose w is moved by ``shift``; gives the pictures, and w without the shift."""

    def __init__(self, generator: StyleGenerator) -> None:
        super().__init__()
        self.styled = _Styled(generator)

    def forward(
        self, latents: Tensor, shift: Tensor, classes: Tensor | None = None, truncation: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        w = self.styled.generator.mapping(latents, classes)
        return self.styled.drawn(w + shift, truncation), w


def with_fixed_filters(module: nn.Module, trial: Mapping[str, Tensor]) -> nn.Module:
    """``module`` with each `Resample` as a convolution of as many channels as ``trial`` has there: ONNX wants constant kernels."""
    channels: dict[nn.Module, int] = {}

    def watch(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        channels[layer] = inputs[0].shape[1]

    filters = {name: layer for name, layer in module.named_modules() if isinstance(layer, Resample)}
    handles = [layer.register_forward_pre_hook(watch) for layer in filters.values()]
    with torch.no_grad():
        module(**trial)
    for handle in handles:
        handle.remove()
    for name, layer in filters.items():
        parent, _, child = name.rpartition(".")
        setattr(module.get_submodule(parent), child, _fixed(layer, channels[layer]))
    return module


def _fixed(layer: Resample, channels: int) -> nn.Module:
    kind = nn.ConvTranspose2d if layer.kind == "up" else nn.Conv2d
    stride = 2 if layer.kind in ("up", "down") else 1
    made = kind(channels, channels, 4, stride, layer.padding, groups=channels, bias=False).requires_grad_(False)
    made.weight.copy_((layer.taps * layer.gain).expand_as(made.weight))
    return made


def _trial(recipe: ImageGAN[Any], n: int, styled: bool, intermediate: bool) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(n)
    latents = torch.randn(n, recipe.latent_dim, generator=draw)
    shift = {"shift": 0.5 * torch.randn(n, recipe.latent_dim, generator=draw)} if intermediate else {}
    classes = {"classes": (torch.arange(n) + n) % len(recipe.classes)} if recipe.classes else {}
    return {"latents": latents, **shift, **classes, **({"truncation": torch.tensor(1 / n)} if styled else {})}


def facts(recipe: ImageGAN[Any], styled: bool) -> dict[str, Any]:
    """What a user of the file has to know."""
    few = len(recipe.classes) <= MOST_NAMES
    channels, height, width = recipe.shape
    values = {name: recipe.info[name] for name in ("window", "dtype") if name in recipe.info}
    sampling: Callable[..., Any] = recipe.Sampling
    return {
        **recipe.origin,
        "kind": "latents",
        "latent_size": recipe.latent_dim,
        "classes": list(recipe.classes) if few else len(recipe.classes),
        "channels": channels,
        "height": height,
        "width": width,
        "range": [-1, 1],
        "sampling": {"truncation": sampling().truncation} if styled else {},
        **values,
    }
