"""Tensors of other programs by the names that ours have, whichever way they keep weight norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from polygan import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

State = dict[str, "Tensor"]
DIRECTION, LENGTH = "parametrizations.weight.original1", "parametrizations.weight.original0"


def floats_of(state: Any, path: Path, name: str) -> State:
    """A dict of finite floating-point tensors, in float32."""
    if not isinstance(state, dict) or not state or not all(isinstance(k, str) for k in state):
        raise CheckpointError(f"{path} holds no tensors of a {name}; the official files hold {{{name!r}: tensors}}")
    for key, value in state.items():
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            raise CheckpointError(f"{path}: {name} {key!r} is a {kind_of(value)} and not a tensor of floats")
        if not bool(value.isfinite().all()):
            raise CheckpointError(f"{path}: {name} {key!r} has NaN or infinite values; use an earlier checkpoint")
    return {k: v.detach().float() for k, v in state.items()}


def kind_of(value: Any) -> str:
    """What a value is, in the words of an error."""
    return f"tensor of {value.dtype}" if isinstance(value, torch.Tensor) else type(value).__name__


def normed(state: Mapping[str, Tensor], layer: str, shown: str, turned: bool = False) -> State:
    """A layer's tensors by the names of `torch.nn.utils.parametrizations`.

    ``turned``: a two-dimensional kernel (out, in, T, 1) is to become (out, in, 1, T).
    """

    def kernel(tensor: Tensor) -> Tensor:
        if not turned:
            return tensor
        if tensor.dim() != 4:
            raise CheckpointError(f"{shown}: {layer} has the shape {tuple(tensor.shape)}, a period's has 4 dimensions")
        return tensor.transpose(2, 3).contiguous()

    def get(name: str) -> Tensor | None:
        return state.get(f"{layer}.{name}")

    found: State = {}
    weight, bias, original, u = get("weight"), get("bias"), get("weight_orig"), get("weight_u")
    old_g, g, old_v, v = get("weight_g"), get(LENGTH), get("weight_v"), get(DIRECTION)
    g, v = g if old_g is None else old_g, v if old_v is None else old_v
    if original is not None and u is not None and v is not None:  # spectral norm, whose v is a vector
        found |= {"parametrizations.weight.original": kernel(original)}
        found |= {"parametrizations.weight.0._u": u, "parametrizations.weight.0._v": v}
    elif g is not None and v is not None:
        found |= {LENGTH: g, DIRECTION: kernel(v)}
    elif weight is not None:  # folded: any direction of length g is that weight, a zero one too
        norm = torch.linalg.vector_norm(weight.flatten(1), dim=1).view(-1, *(1,) * (weight.dim() - 1))
        found |= {LENGTH: norm, DIRECTION: kernel(torch.where(norm > 0, weight, torch.ones(())))}
    if bias is not None:
        found["bias"] = bias
    return {f"{layer}.{name}": tensor for name, tensor in found.items()}
