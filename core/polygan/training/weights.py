"""Weights: read from a run, a checkpoint or a file, and loaded into a network."""

from __future__ import annotations

import pickle
import re
import zipfile
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import load_file

from ..errors import CheckpointError
from ..reading import read_bytes
from .checkpoint import Checkpoints, Networks, read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn


def load_module(
    module: nn.Module,
    networks: Mapping[str, Mapping[str, Tensor]],
    name: str,
    where: Path | str,
    remedy: str = "",
    *,
    cast: bool = False,
) -> None:
    """Load ``networks[name]`` into a module, all or nothing. Raises CheckpointError, which names the tensor that does not fit.

    A parameter must be finite, and a buffer may hold no NaN (a buffer may start at infinity). ``cast`` takes floats of another
    precision. ``remedy`` is the end of the message; empty: to use the settings that the network was trained with.
    """
    if name not in networks:
        raise CheckpointError(f"{where} holds no network {name!r}; it has {', '.join(networks) or 'none'}")
    own, given = module.state_dict(), networks[name]
    remedy = remedy or "use the settings (config.yaml) that it was trained with"
    for key in misfits(own, given):
        shapes = [("missing" if t is None else str(tuple(t.shape))) for t in (given.get(key), own.get(key))]
        raise CheckpointError(
            f"{where}: {name}.{key} is {shapes[0]} in the checkpoint and {shapes[1]} in this recipe; {remedy}"
        )
    _check_values(module, given, f"{where}: {name}", remedy, cast=cast)
    module.load_state_dict(given)


def _check_values(
    module: nn.Module, given: Mapping[str, Tensor], where: str, remedy: str, *, cast: bool = False
) -> None:
    """Refuse tensors of another type than the module's, and parameters that are not finite. Raises CheckpointError."""
    own, parameters = module.state_dict(), {key for key, _ in module.named_parameters(remove_duplicate=False)}
    for key, b in sorted(given.items()):
        a = own.get(key)
        if a is not None and a.dtype != b.dtype and not (cast and a.is_floating_point() and b.is_floating_point()):
            raise CheckpointError(
                f"{where}.{key} holds {_kind(b)} in the checkpoint and {_kind(a)} in this recipe; {remedy}"
            )
        if b.isnan().any() or (key in parameters and not b.isfinite().all()):
            raise CheckpointError(f"{where}.{key} holds numbers that are not finite; use an older checkpoint")


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def file_sizes(modules: Mapping[str, nn.Module]) -> dict[str, int]:
    """The most bytes that the file of each network (``NAME``, ``NAME.ema``) in a checkpoint needs: tensors and header."""
    sizes: dict[str, int] = {}
    for name, module in modules.items():
        state = module.state_dict()
        # A header holds name, type, shape and place of each tensor.
        header = sum(len(key) + 200 + 24 * tensor.dim() for key, tensor in state.items())
        sizes[name] = sizes[f"{name}.ema"] = 4096 + header + sum(t.numel() * t.element_size() for t in state.values())
    return sizes


def misfits(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """The names of the tensors that only one side has, or that have another shape."""
    both = sorted(own.keys() | given.keys())
    return [key for key in both if key not in own or key not in given or own[key].shape != given[key].shape]


def load_fitting(
    module: nn.Module, given: Mapping[str, Tensor], classes: tuple[int, int] = (0, 0), where: str = "the weights"
) -> list[str]:
    """Load what fits a module that was made for other classes, and return the names of the tensors that begin anew.

    ``classes`` are the numbers of classes of ``given`` and of the module. A table of words followed by classes keeps the
    given words. Raises CheckpointError, which names ``where``, for tensors of another type or with numbers that are not finite.
    """
    _check_values(module, given, where, "use weights of the same precision")
    own = module.state_dict()
    odd = set(misfits(own, given))
    merged = {key: own[key] if key in odd else given[key] for key in own}
    for key in odd & own.keys() & given.keys():
        before, now = given[key], own[key]
        if before.ndim != now.ndim:
            continue
        sides = [d for d in range(now.ndim) if before.shape[d] != now.shape[d]]
        shared = now.shape[sides[0]] - classes[1]
        if len(sides) == 1 and shared > 0 and shared == before.shape[sides[0]] - classes[0]:
            rest = now.narrow(sides[0], shared, classes[1])
            merged[key] = torch.cat([before.narrow(sides[0], 0, shared).to(rest), rest], sides[0])
    module.load_state_dict(merged)
    return sorted(odd & own.keys())


def load_weights(path: Path, names: Sequence[str], most: int = 1 << 40) -> Networks:
    """The networks of a run, a checkpoint folder, or an exported .safetensors file with ``NAME.key`` tensors.

    From a file, only the networks in ``names`` are returned; a file of more than ``most`` bytes is not read. Raises CheckpointError for a damaged or any other ``path``.
    """
    if path.is_file():
        try:
            tensors = load_bytes(read_bytes(path, most, named=True))
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


def read_tensors(path: Path) -> Any:
    """What a file of another program's weights holds: tensors in plain containers, from a .safetensors file or a pickle.

    Pickles are read without running code, and mapped where they can be. Names lose the ``module.`` that torch's DataParallel puts
    before every name of a network. Raises CheckpointError for a file that is missing, that is
    damaged, or that asks for anything but tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return _unwrapped(load_file(path))
        # Discriminators come with optimizers twice their size, which mapped files leave on disk.
        return _unwrapped(torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)))
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; name the file with the weights") from None
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"it asks for {found[1]}" if found else "it is no pickle of torch"
        raise CheckpointError(
            f"{path} was refused: {what}, and weights are tensors alone; a pickle may run any code when it is opened"
        ) from None
    except Exception as error:  # a reader of pickles meets anything in a damaged file: struct.error, ...
        line = " ".join(str(error).split())[:160]
        raise CheckpointError(
            f"{path} is no readable file of weights ({type(error).__name__}: {line}); download or copy it again"
        ) from None


def _unwrapped(found: Any) -> Any:
    """The same containers, without the ``module.`` that begins every name of a mapping."""
    if not isinstance(found, dict) or not found:
        return found
    cut = len("module.") * all(isinstance(key, str) and key.startswith("module.") for key in found)
    return {key[cut:] if cut else key: _unwrapped(value) for key, value in found.items()}
