"""Samples from networks: in evaluation mode, by seed, in pieces."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor, nn


@contextmanager
def evaluating(networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """Networks in evaluation mode; each module's mode is restored at the end."""
    modes = [(m, m.training) for network in networks.values() for m in network.modules()]
    for network in networks.values():
        network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def in_chunks(function: Callable[..., Tensor], *inputs: Tensor | None, size: int = 256) -> Tensor:
    """``function`` over slices of at most ``size`` rows of the inputs; the results on the CPU, joined.

    A None among the inputs is passed on as it is.
    """
    n = next(len(x) for x in inputs if x is not None)
    pieces = [function(*(x if x is None else x[i : i + size] for x in inputs)).cpu() for i in range(0, max(n, 1), size)]
    return torch.cat(pieces)
