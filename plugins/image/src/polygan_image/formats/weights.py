"""Published weights: files of tensors, read without running code, compared with what a network wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from polygan import CheckpointError, read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

State = dict[str, "Tensor"]
COUNTER = "num_batches_tracked"


def read_state(path: Path, places: Sequence[str] = ()) -> State:
    """The tensors of a .pth or .safetensors file by name, in float32; pickles are read as tensors and plain containers only.

    ``places``: names under which the tensors may lie in the file; the first that is there counts. The prefix ``module.`` of
    parallel training is taken off. Raises CheckpointError for a file that holds anything else, and for values that are not finite.
    """
    found = read_tensors(path)
    for place in places:
        if isinstance(found, dict) and isinstance(found.get(place), dict):
            found = found[place]
            break
    if not isinstance(found, dict) or not found:
        raise CheckpointError(
            f"{path} holds {type(found).__name__} and no tensors by name; name the file of the generator"
        )
    state: State = {}
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f"{path}: {str(key)[:80]} is a {type(value).__name__} and no tensor; name the file with the weights alone"
            )
        if not value.is_floating_point() and not key.endswith(COUNTER):
            raise CheckpointError(f"{path}: {key} is a tensor of {value.dtype} and not of floats")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise CheckpointError(f"{path}: {key} has NaN or infinite values; use an earlier file")
        state[key.removeprefix("module.")] = value.detach().float() if value.is_floating_point() else value
    return state


def renamed(
    state: Mapping[str, Tensor], layers: Mapping[str, str], network: nn.Module, where: Path, what: str
) -> State:
    """The tensors of ``state`` by the names of ``network``: ``layers`` gives the published name of each of its layers.

    ``network`` may be on the meta device. Raises CheckpointError, which gives the published name of the first tensor that is missing,
    has another shape, or has no place. ``what`` is what the file is taken for.
    """
    published = {f"{theirs}.": f"{ours}." for ours, theirs in layers.items()}
    found: State = {}
    for name, tensor in state.items():
        layer, _, leaf = name.rpartition(".")
        ours = published.get(f"{layer}.")
        if ours is None:
            raise CheckpointError(f"{where}: {name} has no place in {what}; name a file of that network")
        found[ours + leaf] = tensor
    for name, tensor in network.state_dict().items():
        layer, _, leaf = name.rpartition(".")
        if leaf == COUNTER:
            found.setdefault(name, torch.zeros((), dtype=torch.long))  # files of old versions have no counter
        theirs = f"{layers.get(layer, layer)}.{leaf}"
        if name not in found:
            raise CheckpointError(f"{where}: {theirs} is missing; the file is no {what}")
        if found[name].shape != tensor.shape:
            raise CheckpointError(
                f"{where}: {theirs} has the shape {tuple(found[name].shape)}, and {what} has {tuple(tensor.shape)} there"
            )
    unknown = found.keys() - network.state_dict().keys()
    if unknown:
        layer, _, leaf = min(unknown).rpartition(".")
        raise CheckpointError(f"{where}: {layers[layer]}.{leaf} has no place in {what}; name a file of that network")
    return found


def shape_of(state: Mapping[str, Tensor], name: str, dimensions: int, where: Path, what: str) -> tuple[int, ...]:
    """The shape of a tensor. Raises CheckpointError where the tensor is missing or has another number of dimensions."""
    if name not in state:
        some = ", ".join(sorted(state)[:3])
        raise CheckpointError(f"{where} has no {name}, and so holds no {what}; the file has {some}, ...")
    shape = tuple(state[name].shape)
    if len(shape) != dimensions:
        raise CheckpointError(f"{where}: {name} has the shape {shape}, and {what} has {dimensions} dimensions there")
    return shape
