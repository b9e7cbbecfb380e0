"""Generators that make pictures from pictures as graphs: an ONNX file for any size, or an exported program of torch."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim

from polygan.graphs import Graph, write_graph

from ..networks.resnet import Enlarged
from .latents import EXTRA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..data.settings import Given, ImageInfo
    from ..geometry import Geometry
    from ..translation.base import PictureToPicture

_AXES = {0: "batch", 2: "height", 3: "width"}


def onnx(recipe: PictureToPicture[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write what `generate` computes without options as one ONNX file: ``given`` (batch, channels, height, width) to ``made``.

    Batch, height and width are free. Values are in [-1, 1]; a label map is one-hot. The facts of both stand as JSON in the file's
    metadata under ``polygan``. Errors: see `polygan.graphs.write_graph`.
    """
    return [write_graph(_graph(recipe, networks, any_size=True), path, "onnx")[0]]


def program(recipe: PictureToPicture[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the same as an exported program. Height and width are multiples of the fact ``multiple``, and not less than ``least``."""
    return [write_graph(_graph(recipe, networks, any_size=False), path, "pt2")[0]]


def _graph(recipe: PictureToPicture[Any], networks: Mapping[str, nn.Module], *, any_size: bool) -> Graph:
    source = _function(recipe, networks, any_size, lambda network: network)
    module = _function(recipe, networks, any_size, plain)
    geometry, given = module.geometry, given_of(recipe.facts)
    trials = trial_pictures(given, geometry.multiple)
    free = {"given": _AXES, "made": {0: "batch", 2: "made_height", 3: "made_width"}}
    known = facts(recipe, given, geometry)
    if any_size:
        return Graph(module, trials, ["made"], free, known, source, extra=EXTRA)
    least = -(-trials[1]["given"].shape[2] // geometry.multiple)
    dims = {name: geometry.multiple * Dim(f"{name}_units", min=least) for name in ("height", "width")}
    sizes = {"multiple": geometry.multiple, "least": least * geometry.multiple}
    return Graph(module, trials[1:], ["made"], free, {**known, **sizes}, source, dims, extra=EXTRA)


def _function(
    recipe: PictureToPicture[Any],
    networks: Mapping[str, nn.Module],
    any_size: bool,
    changed: Callable[[nn.Module], nn.Module],
) -> _Translator:
    """The translator from copies of the networks, ``changed``, of which those that it does not use are left out."""
    copied = {n: changed(copy.deepcopy(x).cpu().float().eval().requires_grad_(False)) for n, x in networks.items()}
    function, geometry = recipe.translator(copied, recipe.Sampling())
    used: set[str] = set()
    parts = [(name, part) for name, network in copied.items() for part in network.modules()]
    handles = [part.register_forward_pre_hook(lambda *_, name=name: used.add(name)) for name, part in parts]
    with torch.no_grad():
        function(trial_pictures(given_of(recipe.facts), geometry.multiple)[1]["given"])
    for handle in handles:
        handle.remove()
    needed = nn.ModuleDict({name: network for name, network in copied.items() if name in used})
    return _Translator(needed, function, geometry, any_size).eval()


class _Translator(nn.Module):
    """A translator in a graph; with ``any_size`` it pads pictures of any size, and cuts what it made."""

    def __init__(
        self, networks: nn.ModuleDict, function: Callable[[Tensor], Tensor], geometry: Geometry, any_size: bool
    ) -> None:
        super().__init__()
        self.networks, self.function, self.geometry, self.any_size = networks, function, geometry, any_size

    def forward(self, given: Tensor) -> Tensor:
        if not self.any_size:
            return self.function(given).clamp(-1, 1)
        height, width = given.shape[2], given.shape[3]
        scale, multiple = self.geometry.scale, self.geometry.multiple
        if multiple > 1:
            given = F.pad(given, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        return self.function(given)[:, :, : height * scale, : width * scale].clamp(-1, 1)


def plain(network: nn.Module) -> nn.Module:
    """``network`` with each `Enlarged` as the transposed convolution that it computes: the tracing exporter wants constant kernels."""
    for name, child in network.named_children():
        if isinstance(child, Enlarged):
            layer = nn.ConvTranspose2d(child.in_channels, child.out_channels, 4, 2, 1, bias=child.bias is not None)
            with torch.no_grad():
                layer.weight.copy_(child.folded())
                if child.bias is not None and layer.bias is not None:
                    layer.bias.copy_(child.bias)
            setattr(network, name, layer)
        else:
            plain(child)
    return network


def facts(recipe: PictureToPicture[Any], given: Given, geometry: Geometry) -> dict[str, Any]:
    """What a user of the file has to know."""
    made = {name: recipe.info[name] for name in ("channels", "window", "dtype") if name in recipe.info}
    return {**recipe.origin, "kind": "given", "given": given, "made": made, "range": [-1, 1], "scale": geometry.scale}


def given_of(info: ImageInfo) -> Given:
    """The facts of given pictures; without pairs they are those of the pictures themselves."""
    return info.get("given") or {"channels": 1 if info.get("pairs") == "grey" else info["channels"]}


def trial_pictures(given: Given, multiple: int) -> list[dict[str, Tensor]]:
    """Given pictures of noise: one of a size that must be padded, and two and three of sizes that fit."""
    draw = torch.Generator().manual_seed(0)
    fitting = max(1, -(-16 // multiple)) * multiple
    found = []
    sizes = ((1, fitting + multiple // 2, fitting + 1), (2, fitting, 2 * fitting), (3, 2 * fitting, fitting))
    for n, height, width in sizes:
        noise = torch.rand(n, given["channels"], height, width, generator=draw)
        if given.get("values"):
            noise = F.one_hot(noise.argmax(1), given["channels"]).movedim(3, 1).float()
        else:
            noise = noise * 2 - 1
        found.append({"given": noise})
    return found
