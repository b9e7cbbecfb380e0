"""Weights of the official pix2pix code (https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix): U-Net and patch discriminator."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from polygan import ConfigError, ImportedWeights

from ..networks.patches import PatchDiscriminator, smallest_side
from ..networks.unet import UNet
from .weights import COUNTER, State, read_state, renamed, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from polygan import Recipe

WHAT = "U-Net of pix2pix"
DEEPEST = 10


def import_pix2pix(path: Path) -> ImportedWeights:
    """``latest_net_G.pth`` as settings of image/pix2pix and tensors; ``latest_net_D.pth`` comes along from beside it.

    Sizes follow from the tensors. Batch norm takes the means of each picture, as the official test script does. Raises
    CheckpointError for a file of another network, which names the tensor.
    """
    path = Path(path)
    model, info, tensors = read_unet(read_state(path), path)
    networks: dict[str, State] = {"generator": tensors}
    beside = path.with_name(re.sub(r"_G(?=\.)", "_D", path.name))
    if beside != path and beside.is_file():
        settings, judges = read_discriminator(read_state(beside), beside, info["channels"] + info["given"]["channels"])
        model, networks["discriminator"] = model | settings, judges
    side = max(2 ** model["depth"], smallest_side(model.get("discriminator_layers", 3)))
    info |= {"height": side, "width": side}
    return ImportedWeights(model, info, networks)


def read_unet(state: State, path: Path) -> tuple[dict[str, Any], dict[str, Any], State]:
    """Settings of image/pix2pix, facts of the data, and the tensors of its U-Net."""
    width, inputs, *_ = shape_of(state, "model.model.0.weight", 4, path, WHAT)
    _, outputs, *_ = shape_of(state, "model.model.3.weight", 4, path, WHAT)
    depth = 1
    while depth < DEEPEST and f"{_block(depth)}.model.1.weight" in state:
        depth += 1
    norm = "batch" if f"{_block(depth - 1)}.model.4.weight" in state else "instance"  # after the deepest map
    if norm == "instance":  # files of old versions keep means that instance norm never used
        state = {name: t for name, t in state.items() if not name.endswith(("running_mean", "running_var", COUNTER))}
    model = {"generator": "unet", "width": width, "depth": depth, "norm": norm, "up": "transposed"}
    with torch.device("meta"):  # nothing is allocated for what a file claims
        network = UNet(inputs, outputs, width, depth, norm=norm, up="transposed")
    tensors = renamed(state, unet_layers(depth, norm == "batch"), network, path, WHAT)
    info = {"channels": outputs, "pairs": "folders", "given": {"channels": inputs}}
    return model | ({"statistics": "picture"} if norm == "batch" else {}), info, tensors


def _block(level: int) -> str:
    """The published name of the block whose convolution makes the map at ``level`` >= 1."""
    return "model.model.1" + ".model.3" * (level - 1)


def unet_layers(depth: int, normed: bool) -> dict[str, str]:
    """The published name of each layer of `UNet` that has tensors."""
    last = depth - 1
    layers = {"down.0": "model.model.0", f"up.{last}": "model.model.3"}
    for level in range(1, depth):
        block, ours, deepest = f"{_block(level)}.model", last - level, level == last
        layers |= {f"down.{level}": f"{block}.1", f"up.{ours}": f"{block}.{3 if deepest else 5}"}
        if normed:
            layers[f"up_norms.{ours}"] = f"{block}.{4 if deepest else 6}"
        if normed and not deepest:
            layers[f"down_norms.{level}"] = f"{block}.2"
    return layers


def read_discriminator(state: State, path: Path, channels: int) -> tuple[dict[str, Any], State]:
    """Settings of image/pix2pix and the tensors of its discriminator, which judges pairs with ``channels``."""
    what = "patch discriminator of pix2pix"
    width, *_ = shape_of(state, "model.0.weight", 4, path, what)
    norm = "batch" if "model.3.weight" in state and state["model.3.weight"].dim() == 1 else "instance"
    if norm == "instance":
        state = {name: t for name, t in state.items() if not name.endswith(("running_mean", "running_var", COUNTER))}
    convolutions = [name for name, tensor in state.items() if tensor.dim() == 4]
    layers = max(1, len(convolutions) - 2)
    with torch.device("meta"):
        network = PatchDiscriminator(channels, width, min(layers, 8), norm)
    names = {name.rpartition(".")[0] for name in network.state_dict()}
    tensors = renamed(state, {name: name for name in names}, network, path, what)
    settings = {"discriminator_width": width, "discriminator_layers": layers, "discriminator_norm": norm}
    return settings, {f"scales.0.{name}": tensor for name, tensor in tensors.items()}


def export_pix2pix(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the generator as the official code's ``*_net_G.pth``. Raises ConfigError for a network that the code does not have."""
    generator = networks["generator"]
    if not isinstance(generator, UNet) or generator.direct is not None or generator.norm not in ("batch", "instance"):
        raise ConfigError(
            "the official code has the U-Net with transposed convolutions and batch or instance norm alone; train with "
            "--model.generator unet --model.up transposed --model.norm batch, or export --format onnx"
        )
    layers = unet_layers(generator.depth, generator.norm == "batch")
    state = {}
    for name, tensor in generator.state_dict().items():
        layer, _, leaf = name.rpartition(".")
        state[f"{layers[layer]}.{leaf}"] = tensor.detach().cpu().contiguous()
    path = path if path.suffix == ".pth" else path.with_name(path.name + ".pth")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return [path]
