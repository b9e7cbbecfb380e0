"""Recipes that make pictures from pictures as one ONNX file for pictures of any size, run by onnxruntime and compared."""

from __future__ import annotations

import copy
import json
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import CheckpointError, ConfigError

from ..networks.resnet import Enlarged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..data.settings import Given, ImageInfo
    from ..geometry import Geometry
    from ..translation.base import PictureToPicture

TOLERANCE = 1e-4
"""Largest difference of a value between torch and the file, for values in [-1, 1]; a grey level of 8 bits is 80 times as far."""


class _AnySize(nn.Module):
    """A translator in a graph that pads pictures of any size and cuts what it made."""

    def __init__(self, networks: nn.ModuleDict, function: Callable[[Tensor], Tensor], geometry: Geometry) -> None:
        super().__init__()
        self.networks, self.function, self.geometry = networks, function, geometry

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[2], image.shape[3]
        scale, multiple = self.geometry.scale, self.geometry.multiple
        if multiple > 1:
            image = F.pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        return self.function(image)[:, :, : height * scale, : width * scale].clamp(-1, 1)


def export(recipe: PictureToPicture[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write what `generate` computes without options as one ONNX file: ``given`` (batch, channels, height, width) to ``made``.

    Batch, height and width are free. Values are in [-1, 1]; a label map is one-hot. The facts of both stand as JSON in the file's
    metadata under ``polygan``. ConfigError without onnx and onnxruntime; CheckpointError where onnxruntime computes something else.
    """
    onnx, runtime = need("onnx"), need("onnxruntime")
    copied = nn.ModuleDict({n: plain(copy.deepcopy(network).cpu().float().eval()) for n, network in networks.items()})
    function, geometry = recipe.translator(dict(copied.items()), recipe.Sampling())
    module = _AnySize(copied, function, geometry).eval()
    given = given_of(recipe.facts)
    trials = trial_pictures(given, geometry.multiple)
    path = path if path.suffix == ".onnx" else path.with_name(path.name + ".onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    free = {0: "batch", 2: "height", 3: "width"}
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter by tracing is called old, but needs no onnxscript, and these networks have no control flow to lose.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (trials[0],),
            path,
            input_names=["given"],
            output_names=["made"],
            dynamic_axes={"given": free, "made": {0: "batch", 2: "made_height", 3: "made_width"}},
            opset_version=18,
            dynamo=False,
        )
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = "polygan", json.dumps(facts(recipe, given, geometry))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    for picture in trials:
        made = torch.from_numpy(session.run(None, {"given": picture.numpy()})[0])
        with torch.no_grad():
            agree(module(picture), made, path)
    return [path]


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
    return {"given": given, "made": made, "range": [-1, 1], "scale": geometry.scale}


def given_of(info: ImageInfo) -> Given:
    """The facts of given pictures; without pairs they are those of the pictures themselves."""
    return info.get("given") or {"channels": 1 if info.get("pairs") == "grey" else info["channels"]}


def trial_pictures(given: Given, multiple: int) -> list[Tensor]:
    """Given pictures of noise: one of a size that must be padded, and two of a size that fits."""
    draw = torch.Generator().manual_seed(0)
    fitting = max(1, -(-16 // multiple)) * multiple
    found = []
    for n, height, width in ((1, fitting + multiple // 2, fitting + 1), (2, fitting, 2 * fitting)):
        noise = torch.rand(n, given["channels"], height, width, generator=draw)
        if given.get("values"):
            found.append(F.one_hot(noise.argmax(1), given["channels"]).movedim(3, 1).float())
        else:
            found.append(noise * 2 - 1)
    return found


def agree(ours: Tensor, theirs: Tensor, path: Path) -> None:
    """CheckpointError where pictures differ by more than `TOLERANCE`."""
    if ours.shape != theirs.shape:
        raise CheckpointError(
            f"{path} makes pictures {[*theirs.shape]} in place of {[*ours.shape]}; do not use the file"
        )
    gap = float((ours - theirs).abs().max())
    if not gap <= TOLERANCE:
        raise CheckpointError(
            f"{path} makes other pictures than its source: values differ by {gap:.2g}; do not use the file"
        )


def need(package: str) -> Any:
    """The package. ConfigError, which says what to install, where it is missing."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"export to ONNX needs the package {error.name or package}: pip install 'polygan-image[onnx]', or use another format"
        ) from None
