"""The same operation in place on many tensors: one kernel for all tensors where torch has it, else a loop.

The functions of torch are private. A loop gives the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def scale(tensors: list[Tensor], factor: Tensor | float) -> None:
    """Multiply each tensor by ``factor``."""
    if hasattr(torch, "_foreach_mul_"):
        torch._foreach_mul_(tensors, factor)  # pyright: ignore[reportPrivateImportUsage]
        return
    for tensor in tensors:
        tensor.mul_(factor)


def lerp(tensors: list[Tensor], ends: list[Tensor], weight: float) -> None:
    """Move each tensor towards its end: tensor + ``weight`` * (end - tensor)."""
    if hasattr(torch, "_foreach_lerp_"):
        torch._foreach_lerp_(tensors, ends, weight)  # pyright: ignore[reportPrivateImportUsage]
        return
    for tensor, end in zip(tensors, ends, strict=True):
        tensor.lerp_(end, weight)


def clamp(tensors: list[Tensor], bound: float) -> None:
    """Clamp each tensor to [-bound, bound]."""
    if hasattr(torch, "_foreach_clamp_min_") and hasattr(torch, "_foreach_clamp_max_"):
        torch._foreach_clamp_min_(tensors, -bound)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_clamp_max_(tensors, bound)  # pyright: ignore[reportPrivateImportUsage]
        return
    for tensor in tensors:
        tensor.clamp_(-bound, bound)
