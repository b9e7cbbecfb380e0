"""Attention that knows where it has looked."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import convolution, linear


class Location(nn.Module):
    """Filters over the places attended before, and their mixture; both are linear and run as one matrix."""

    def __init__(self, filters: int, kernel: int, units: int) -> None:
        super().__init__()
        self.location_conv = convolution(2, filters, kernel, bias=False)
        self.location_dense = linear(filters, units, bias=False, like="tanh")

    def matrix(self) -> Tensor:
        """(2 * kernel, units)."""
        return (self.location_dense.weight @ self.location_conv.weight.flatten(1)).T


class LocationAttention(nn.Module):
    """Location-sensitive attention: Chorowski et al. 2015, equation 9, as in Shen et al. 2018, section 2.2."""

    def __init__(self, query: int, memory: int, units: int, filters: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.query_layer = linear(query, units, bias=False, like="tanh")
        self.memory_layer = linear(memory, units, bias=False, like="tanh")
        self.v = linear(units, 1, bias=False)
        self.location_layer = Location(filters, kernel, units)

    def forward(self, query: Tensor, keys: Tensor, places: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
        """Weights (B, S), which sum to 1, exactly 0 on padding.

        ``query`` (B, query), ``keys`` (B, S, units) of `memory_layer`, ``places`` (B, 2, S): the weights before and the sum of
        all weights, ``matrix`` of `Location.matrix`, ``bias`` (B, S): 0, far below 0 on padding, or None without padding.
        """
        compared = torch.tanh(keys + self.query_layer(query)[:, None] + self.located(places, matrix))
        energies = self.v(compared)[..., 0]  # (B, S)
        return torch.softmax(energies if bias is None else energies + bias, 1)

    def located(self, places: Tensor, matrix: Tensor) -> Tensor:
        """(B, 2, S) by the filters of places, (B, S, units)."""
        windows = F.pad(places, (self.kernel // 2, self.kernel // 2)).unfold(2, self.kernel, 1)  # (B, 2, S, kernel)
        return windows.transpose(1, 2).flatten(2) @ matrix
