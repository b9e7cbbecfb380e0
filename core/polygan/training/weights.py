"""Weights: read from a run, a checkpoint or a file, and loaded into a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load as load_bytes

from ..errors import CheckpointError
from .checkpoint import Checkpoints, Networks, read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn


def load_module(module: nn.Module, networks: Mapping[str, Mapping[str, Tensor]], name: str, where: Path | str) -> None:
    """Load ``networks[name]`` into a module, all or nothing. Raises CheckpointError, which names the tensor that does not fit."""
    if name not in networks:
        raise CheckpointError(f"{where} holds no network {name!r}; it has {', '.join(networks) or 'none'}")
    own, given = module.state_dict(), networks[name]
    for key in sorted(own.keys() | given.keys()):
        a, b = own.get(key), given.get(key)
        if a is None or b is None or a.shape != b.shape:
            shapes = [("missing" if t is None else str(tuple(t.shape))) for t in (b, a)]
            raise CheckpointError(
                f"{where}: {name}.{key} is {shapes[0]} in the checkpoint and {shapes[1]} in this recipe; use the settings "
                "(config.yaml) that it was trained with"
            )
    module.load_state_dict(given)


def load_weights(path: Path, names: Sequence[str]) -> Networks:
    """The networks of a run, a checkpoint folder, or an exported .safetensors file with ``NAME.key`` tensors.

    From a file, only the networks in ``names`` are returned. Raises CheckpointError for a damaged or any other ``path``.
    """
    if path.is_file():
        try:
            tensors = load_bytes(path.read_bytes())
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} is not a readable .safetensors file ({error})") from None
        networks: Networks = {}
        for key, tensor in tensors.items():
            name, _, rest = key.partition(".")
            networks.setdefault(name, {})[rest] = tensor
        return {name: state for name, state in networks.items() if name in names}
    if (path / "manifest.json").is_file():
        return read_checkpoint(path).networks
    if (path / "checkpoints").is_dir():
        return Checkpoints(path / "checkpoints").load().networks
    what = "is neither a run, nor a checkpoint folder, nor a .safetensors file" if path.exists() else "does not exist"
    raise CheckpointError(f"{path} {what}; name a run, a checkpoint folder or a .safetensors file")
