"""State in files without pickle: tensors in the safetensors layout, everything else as JSON."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from ..errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from ..files import Written

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


def read_verified(path: Path, facts: Written) -> bytes:
    """A file's bytes. Raises CheckpointError where their size or checksum differs from ``facts``."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"checkpoint file {path} cannot be read ({error.strerror})") from None
    if len(data) != facts["size"]:
        raise CheckpointError(f"checkpoint file {path} has {len(data)} bytes instead of {facts['size']}")
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise CheckpointError(f"checkpoint file {path} does not match its checksum")
    return data
