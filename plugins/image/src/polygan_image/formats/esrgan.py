"""Weights of ESRGAN and Real-ESRGAN (https://github.com/xinntao/ESRGAN, https://github.com/xinntao/Real-ESRGAN)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from polygan import CheckpointError, ConfigError, ImportedWeights

from ..networks.enlarging import Compact, RRDBNet
from .weights import State, read_state, renamed, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from polygan import Recipe

PLACES = "params_ema", "params"
"""Where the tensors lie in published files; averaged weights come first."""
RRDB_NAME, COMPACT_NAME = "RRDB network of ESRGAN", "compact network of Real-ESRGAN"
DEEPEST = 256
_SIDE = 128  # pixels of a training picture, for the facts of the data
_ENDS = "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"


def import_esrgan(path: Path) -> ImportedWeights:
    """A .pth or .safetensors file as settings of image/superres and tensors; network, scale and sizes follow from the tensors.

    Names of all three generations of the code are known. Raises CheckpointError for a file of another network or of another
    scale than 2 and 4, which names the tensor.
    """
    path = Path(path)
    state = read_state(path, PLACES)
    model, channels, tensors = _compact(state, path) if "body.0.weight" in state else _rrdb(state, path)
    factor = model["scale"]
    info: dict[str, Any] = {"channels": channels, "height": _SIDE, "width": _SIDE}
    info |= {"pairs": "smaller", "given": {"channels": channels, "factor": factor}}
    return ImportedWeights(model, info, {"generator": tensors})


def _rrdb(state: State, path: Path) -> tuple[dict[str, Any], int, State]:
    """Settings, channels of the pictures, and tensors of an RRDB network."""
    style, what = _style(state), RRDB_NAME
    depth = 0
    while depth < DEEPEST and f"{rrdb_layers(depth + 1, style)[f'body.{depth}.rdb1.conv1']}.weight" in state:
        depth += 1
    layers = rrdb_layers(depth, style)
    width, inputs, *_ = shape_of(state, f"{layers['conv_first']}.weight", 4, path, what)
    if not depth:
        raise CheckpointError(
            f"{path} has no {rrdb_layers(1, style)['body.0.rdb1.conv1']}.weight, and so holds no {what}"
        )
    growth, *_ = shape_of(state, f"{layers['body.0.rdb1.conv1']}.weight", 4, path, what)
    channels, *_ = shape_of(state, f"{layers['conv_last']}.weight", 4, path, what)
    scale = {channels: 4, 4 * channels: 2}.get(inputs)
    if scale is None:
        raise CheckpointError(
            f"{path}: {layers['conv_first']}.weight takes {inputs} channels and {layers['conv_last']}.weight makes {channels}; "
            f"enlargement by 4 takes {channels}, and enlargement by 2 takes {4 * channels}"
        )
    with torch.device("meta"):  # nothing is allocated for what a file claims
        network = RRDBNet(channels, scale, width, depth, growth)
    model = {"network": "rrdb", "scale": scale, "width": width, "depth": depth, "growth": growth}
    return model, channels, renamed(state, layers, network, path, what)


def _style(state: Mapping[str, Any]) -> str:
    """The generation of the code that names of tensors come from: ``first`` (2018), ``second`` (2019), or ``third`` (BasicSR)."""
    if any(name.startswith("model.1.sub.") for name in state):
        return "first"
    return "second" if any(name.startswith("RRDB_trunk.") for name in state) else "third"


def rrdb_layers(depth: int, style: str = "third") -> dict[str, str]:
    """The published name of each layer of `RRDBNet` with ``depth`` blocks."""
    block, ends = {
        "first": ("model.1.sub.{}.RDB{}.conv{}.0", (f"model.1.sub.{depth}", *(f"model.{i}" for i in (3, 6, 8, 10)))),
        "second": ("RRDB_trunk.{}.RDB{}.conv{}", ("trunk_conv", "upconv1", "upconv2", "HRconv", "conv_last")),
        "third": ("body.{}.rdb{}.conv{}", _ENDS),
    }[style]
    places = [(i, k, j) for i in range(depth) for k in (1, 2, 3) for j in (1, 2, 3, 4, 5)]
    layers = {"body.{}.rdb{}.conv{}".format(*place): block.format(*place) for place in places}
    first = "model.0" if style == "first" else "conv_first"
    return {"conv_first": first, **layers, **dict(zip(_ENDS, ends, strict=True))}


def _compact(state: State, path: Path) -> tuple[dict[str, Any], int, State]:
    """Settings, channels of the pictures, and tensors of a compact network."""
    what = COMPACT_NAME
    width, channels, *_ = shape_of(state, "body.0.weight", 4, path, what)
    shape_of(state, "body.1.weight", 1, path, f"{what} with PReLU")
    depth = 0
    while depth < DEEPEST and f"body.{2 * depth + 4}.weight" in state:
        depth += 1
    last = f"body.{2 * depth + 2}.weight"
    outputs, *_ = shape_of(state, last, 4, path, what)
    scale = {4 * channels: 2, 16 * channels: 4}.get(outputs)
    if scale is None:
        raise CheckpointError(
            f"{path}: {last} makes {outputs} channels for pictures with {channels}; enlargement by 2 makes {4 * channels}, "
            f"and enlargement by 4 makes {16 * channels}"
        )
    if not depth:
        raise CheckpointError(f"{path} has no body.4.weight, and so holds no {what}")
    with torch.device("meta"):
        network = Compact(channels, scale, width, depth)
    layers = {name: name for name in (key.rpartition(".")[0] for key in network.state_dict())}
    model = {"network": "compact", "scale": scale, "width": width, "depth": depth}
    return model, channels, renamed(state, layers, network, path, what)


def export_esrgan(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the generator as Real-ESRGAN's ``.pth`` with ``params_ema``. Raises ConfigError for a network that the code does not have."""
    generator = networks["generator"]
    if not isinstance(generator, Compact | RRDBNet):
        raise ConfigError(
            "Real-ESRGAN has the networks rrdb and compact alone; train with --model.network compact, or export --format onnx"
        )
    path = path if path.suffix == ".pth" else path.with_name(path.name + ".pth")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({PLACES[0]: {k: v.detach().cpu().contiguous() for k, v in generator.state_dict().items()}}, path)
    return [path]
