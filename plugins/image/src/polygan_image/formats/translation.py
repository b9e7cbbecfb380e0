"""Weights of the official CycleGAN and CUT code: ResNet generators with or without filters, and CycleGAN's discriminators.

https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix, https://github.com/taesungp/contrastive-unpaired-translation
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from polygan import CheckpointError, ImportedWeights

from ..networks.resnet import DOUBLINGS, Blur, ResNetGenerator
from .pix2pix import read_discriminator
from .weights import COUNTER, State, read_state, renamed, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

WHAT = "ResNet generator"
SIDE = 256
"""Pixels of a side that the official code trains with; imported networks take any size."""
_BLOCK = re.compile(r"model\.\d+\.conv_block\.1\.weight")
_SIDE = re.compile(r"_G_([AB])(?=\.)")


def import_cyclegan(path: Path) -> ImportedWeights:
    """``latest_net_G_A.pth`` as ``to_b`` of image/cyclegan, with the classes A and B; a name with ``_G_B`` fills ``to_a``.

    The other generator and the discriminators come along from beside the file, if they are there; the official ``D_A`` judges the
    side B. Raises CheckpointError for a file of another network, which names the tensor.
    """
    path = Path(path)
    model, channels, networks = {}, 0, {}
    for name, file in _generators(path):
        found, channels, networks[name] = read_resnet(read_state(file), file)
        if found["up"] == "antialias":
            raise CheckpointError(f"{file} holds the generator of CUT, with filters; import it as image/cut")
        if model and found != model:
            raise CheckpointError(f"{file} has other sizes than {path}: {found} and {model}; import one of them alone")
        model = found
    makes = [side for side in "AB" if f"to_{side.lower()}" in networks]
    for name, official in (("discriminator_b", "D_A"), ("discriminator_a", "D_B")):
        beside = path.with_name(_SIDE.sub(f"_{official}", path.name))
        if beside != path and beside.is_file():
            settings, tensors = read_discriminator(read_state(beside), beside, channels)
            model |= settings
            networks[name] = {key.removeprefix("scales.0."): tensor for key, tensor in tensors.items()}
    info = _info(channels)
    if len(makes) == 1:
        info["makes"] = makes
    return ImportedWeights(model, info, networks)


def import_cut(path: Path) -> ImportedWeights:
    """``latest_net_G.pth`` as ``generator`` of image/cut, with the classes A and B. Raises CheckpointError as `import_cyclegan` does."""
    path = Path(path)
    model, channels, tensors = read_resnet(read_state(path), path)
    return ImportedWeights(model, _info(channels), {"generator": tensors})


def _generators(path: Path) -> list[tuple[str, Path]]:
    """The named file and, if it is there, the file of the other direction, with the names of their networks."""
    found = _SIDE.search(path.name)
    if found is None:
        return [("to_b", path)]
    names, other = ("to_b", "to_a"), "B"
    if found[1] == "B":
        names, other = ("to_a", "to_b"), "A"
    beside = path.with_name(_SIDE.sub(f"_G_{other}", path.name))
    return [(names[0], path), *([(names[1], beside)] if beside.is_file() else [])]


def _info(channels: int) -> dict[str, Any]:
    return {"channels": channels, "height": SIDE, "width": SIDE, "classes": ["A", "B"]}


def read_resnet(state: State, path: Path) -> tuple[dict[str, Any], int, State]:
    """Settings of the recipe, the channels of the pictures, and the tensors of a `ResNetGenerator`."""
    width, inputs, *_ = shape_of(state, "model.1.weight", 4, path, WHAT)
    blocks = sum(1 for name in state if _BLOCK.fullmatch(name))
    filters = {name for name in state if name.endswith(".filt")}
    norm = "batch" if "model.2.weight" in state else "instance"
    if norm == "instance":  # files of old versions keep means that instance norm never used
        state = {k: v for k, v in state.items() if not k.endswith(("running_mean", "running_var", COUNTER))}
    up = "antialias" if filters else "transposed"
    outputs, *_ = shape_of(state, f"{_last(blocks, up)}.weight", 4, path, WHAT)
    if outputs != inputs or not 1 <= blocks <= 1000:
        raise CheckpointError(
            f"{path} makes {outputs} channels from {inputs} with {blocks} blocks; the recipe needs equal channels and a block"
        )
    _check_filters(state, filters, path)
    state = {name: tensor for name, tensor in state.items() if name not in filters}
    with torch.device("meta"):  # nothing is allocated for what a file claims
        network = ResNetGenerator(inputs, outputs, width, blocks, norm=norm, up=up)
    tensors = renamed(state, resnet_layers(state, blocks, up, norm == "batch"), network, path, WHAT)
    return {"width": width, "blocks": blocks, "norm": norm, "up": up}, inputs, tensors


def _step(up: str) -> int:
    """Published layers of a halving or doubling: convolution, norm, ReLU, and the filter if there is one."""
    return 4 if up == "antialias" else 3


def _last(blocks: int, up: str) -> str:
    return f"model.{5 + 2 * DOUBLINGS * _step(up) + blocks}"


def resnet_layers(state: Mapping[str, Tensor], blocks: int, up: str, normed: bool) -> dict[str, str]:
    """The published name of each layer of `ResNetGenerator` that has tensors."""
    step, late = _step(up), int(up == "antialias")
    layers = {"first": "model.1", "first_norm": "model.2", "last": _last(blocks, up)}
    after = 4 + DOUBLINGS * step
    for i in range(DOUBLINGS):
        layers |= {f"down.{i}.conv": f"model.{4 + i * step}", f"down.{i}.norm": f"model.{5 + i * step}"}
        begin = after + blocks + i * step + late
        layers |= {f"up.{i}.conv": f"model.{begin}", f"up.{i}.norm": f"model.{begin + 1}"}
    for b in range(blocks):
        block = f"model.{after + b}.conv_block"
        second = 6 if f"{block}.6.weight" in state and f"{block}.5.weight" not in state else 5  # 6: after dropout
        layers |= {f"blocks.{b}.conv1": f"{block}.1", f"blocks.{b}.norm1": f"{block}.2"}
        layers |= {f"blocks.{b}.conv2": f"{block}.{second}", f"blocks.{b}.norm2": f"{block}.{second + 1}"}
    return layers if normed else {k: v for k, v in layers.items() if "norm" not in k}


def _check_filters(state: State, names: set[str], path: Path) -> None:
    """Refuse filters other than the paper's, which are not kept but computed."""
    for name in sorted(names):
        taps = Blur(1, up=state[name].shape[-1] == 4).taps.float()
        expected = (taps / taps.sum() * (4 if taps.shape[-1] == 4 else 1)).expand_as(state[name][:, :1])
        if state[name].shape != expected.shape or not torch.allclose(state[name], expected):
            raise CheckpointError(f"{path}: {name} is another filter than CUT's; only the official filters are known")
