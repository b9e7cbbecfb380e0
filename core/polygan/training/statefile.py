"""State in files without pickle: tensors in the safetensors layout, everything else as JSON."""

from __future__ import annotations

import hashlib
import json
import math
import os
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from ..errors import CheckpointError
from ..reading import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from ..files import Facts, Written

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""Data that JSON can hold."""

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.complex64: "C64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer", "square_avg", "grad_avg", "sum")
"""What torch's optimizers keep in the shape of each parameter."""
_BLOCK = 8 << 20  # bytes that are written and hashed at a time


def encode(value: object, tensors: dict[str, Tensor], key: str) -> Plain:
    """``value`` as JSON data. Tensors go into ``tensors`` under a key; tuples, and dict keys of any type, are kept.

    Raises CheckpointError, which names the place of a value that is neither plain data nor a tensor.
    """
    if isinstance(value, torch.Tensor):
        while key in tensors:  # {1: a, "1": b}
            key += "'"
        tensors[key] = value
        return {"$": "tensor", "key": key}
    if isinstance(value, dict):
        if all(isinstance(k, str) and k != "$" for k in value):
            return {k: encode(v, tensors, f"{key}/{k}") for k, v in value.items()}
        items: list[Plain] = [[encode(k, tensors, key), encode(v, tensors, f"{key}/{k}")] for k, v in value.items()]
        return {"$": "dict", "items": items}
    if isinstance(value, tuple):
        return {"$": "tuple", "items": [encode(v, tensors, f"{key}/{i}") for i, v in enumerate(value)]}
    if isinstance(value, list):
        return [encode(v, tensors, f"{key}/{i}") for i, v in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise CheckpointError(
        f"state {key} is a {type(value).__name__}, which a checkpoint cannot hold; use tensors, numbers, strings, lists and dicts"
    )


def decode(value: object, tensors: Mapping[str, Tensor]) -> Any:
    """The value that `encode` took. Raises KeyError, ValueError or TypeError for data that `encode` did not make."""
    if isinstance(value, list):
        return [decode(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    match value.get("$"):
        case None:
            return {k: decode(v, tensors) for k, v in value.items()}
        case "tensor":
            return tensors[value["key"]]
        case "tuple":
            return tuple(decode(v, tensors) for v in value["items"])
        case "dict":
            return {decode(k, tensors): decode(v, tensors) for k, v in value["items"]}
        case other:
            raise ValueError(f"unknown kind {other!r}")


def tensor_blocks(tensors: Mapping[str, Tensor], facts: Mapping[str, str] | None = None) -> Iterator[memoryview]:
    """The bytes of a safetensors file: length of the header (8 bytes, little endian), JSON header, data.

    Tensors are written in C order. Tensors that share memory become equal copies. ``facts`` go into the header.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt", **(facts or {})}}
    offset = 0
    # Wide types first, so that every tensor is aligned for readers that map the file.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    for name in order:
        tensor = tensors[name]
        if tensor.dtype not in _DTYPES or tensor.layout != torch.strided or tensor.is_meta:
            kind = f"{tensor.dtype} ({tensor.layout}, {tensor.device})"
            raise CheckpointError(f"tensor {name} is {kind}, which a checkpoint cannot hold")
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    small = bytearray(len(text).to_bytes(8, "little") + text)
    for name in order:
        data = tensors[name].detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        if not data.numel():
            continue
        view = data.view(torch.uint8).numpy().data
        if len(view) < 1 << 16:  # join small tensors (e.g. a thousand biases) into one block
            small += view
            continue
        if small:
            yield memoryview(small)
            small = bytearray()
        for begin in range(0, len(view), _BLOCK):
            yield view[begin : begin + _BLOCK]
    if small:
        yield memoryview(small)


def read_verified(path: Path, facts: Written, within: Path | None = None) -> bytes:
    """A file's bytes. Raises CheckpointError where their size or checksum differs from ``facts``; the size is checked first."""
    try:
        with open_regular(path, within=within) as file:
            size = os.fstat(file.fileno()).st_size
            if size != facts["size"]:
                raise CheckpointError(f"checkpoint file {path} has {size} bytes instead of {facts['size']}")
            data = file.read(size + 1)
    except OSError as error:
        raise CheckpointError(f"checkpoint file {path} cannot be read ({error.strerror})") from None
    if len(data) != size or hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise CheckpointError(f"checkpoint file {path} does not match its checksum")
    return data


def check_manifest(manifest: Facts) -> None:
    """Raise ValueError, LookupError or TypeError where a fact has another type than `Checkpoints.save` writes."""
    step, files = manifest["step"], manifest["files"]
    if type(step) is not int or not 0 <= step < 1 << 53 or type(manifest["good"]) is not bool:
        raise ValueError("its step or good is of another type")
    if not all(type(f["size"]) is int and f["size"] >= 0 and isinstance(f["sha256"], str) for f in files.values()):
        raise ValueError("a file has no size or checksum")
    if strange := [name for name in files if name != "training.json" and not name.endswith(".safetensors")]:
        raise ValueError(f"it names {strange[0]!r}, which is no file of a checkpoint")


def check_counters(training: object, step: int) -> None:
    """Raise ValueError where the trainer's counters are no counters, or belong to another step."""
    if not isinstance(training, dict):
        return
    for name in ("step", "samples", "rollbacks"):
        if name in training and (type(training[name]) is not int or training[name] < 0):
            raise ValueError(f"{name} is {training[name]!r:.40}")
    if training.get("step", step) != step:
        raise ValueError(f"it is of step {training['step']}")
    seconds = training.get("seconds", 0.0)
    if type(seconds) not in (int, float) or not 0 <= seconds < 1e12:
        raise ValueError(f"seconds is {seconds!r:.40}")


def check_player(saved: Facts, scheduler: LRScheduler | None) -> None:
    """Raise ValueError, TypeError or LookupError for a saved state of a player with odd counters, or with another schedule.

    A checksum proves that a file is as it was written, not that this recipe wrote it.
    """
    if not bool(torch.isfinite(saved["counters"]).all()):
        raise ValueError("the counters are not finite")
    if scheduler is not None:
        _check_alike(saved["scheduler"], scheduler.state_dict(), "scheduler")
        if hidden := [name for name in saved["scheduler"] if callable(getattr(scheduler, name, None))]:
            raise ValueError(f"scheduler.{hidden[0]} is no value")


def check_optimizer(saved: Facts, optimizer: Optimizer) -> None:
    """Raise ValueError, TypeError or LookupError for a saved state that the optimizer cannot continue."""
    for group, own in zip(saved["param_groups"], optimizer.param_groups, strict=True):
        _check_alike({k: v for k, v in group.items() if k != "params"}, own, "optimizer")
        for index, parameter in zip(group["params"], own["params"], strict=True):
            for name, value in saved["state"].get(index, {}).items():
                _check_moment(name, value, parameter)


def _check_moment(name: object, value: object, parameter: Tensor) -> None:
    if name not in _MOMENTS or value is None:
        return
    if not isinstance(value, torch.Tensor) or value.shape != parameter.shape or not value.is_floating_point():
        raise ValueError(f"{name} does not fit its parameter of shape {tuple(parameter.shape)}")
    if bool(value.isnan().any()):
        raise ValueError(f"{name} of a parameter of shape {tuple(parameter.shape)} holds NaN")


def _check_alike(saved: object, own: object, place: str) -> None:
    """Raise ValueError, with the place, where a saved value is of another kind than today's value, or is NaN.

    Integers and floats stand for each other, lists and tuples too, switches may be unset. A value of None says nothing.
    """
    kinds: tuple[type, ...] = (type(own),)
    if isinstance(own, bool):
        kinds = (bool, type(None))
    elif isinstance(own, int | float):
        kinds = (int, float)
    elif isinstance(own, list | tuple):
        kinds = (list, tuple)
    if own is not None and type(saved) not in kinds and not isinstance(own, torch.Tensor | dict):
        raise ValueError(f"{place} is of type {type(saved).__name__} instead of {type(own).__name__}")
    if isinstance(saved, float) and math.isnan(saved):
        raise ValueError(f"{place} is not a number")
    if isinstance(own, dict):
        if not isinstance(saved, dict):
            raise ValueError(f"{place} holds no values by name")
        for key in saved.keys() & own.keys():
            _check_alike(saved[key], own[key], f"{place}.{key}")
    if isinstance(saved, list | tuple) and isinstance(own, list | tuple):
        for number, (one, other) in enumerate(zip(saved, own, strict=False)):
            _check_alike(one, other, f"{place}.{number}")
