"""Layers that know what is padding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan_audio.networks.convolutions import full_precision, wide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def linear(inputs: int, outputs: int, bias: bool = True, like: str = "linear") -> nn.Linear:
    """A linear layer as NVIDIA's code starts one: Glorot and Bengio 2010, scaled for the activation ``like``."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.xavier_uniform_(layer.weight, nn.init.calculate_gain(like))  # pyright: ignore[reportArgumentType]
    return layer


def convolution(inputs: int, outputs: int, kernel: int, bias: bool = True, like: str = "linear") -> nn.Conv1d:
    """A convolution that keeps the length, started as `linear`."""
    layer = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
    nn.init.xavier_uniform_(layer.weight, nn.init.calculate_gain(like))  # pyright: ignore[reportArgumentType]
    return layer


def valid(lengths: Tensor, longest: int) -> Tensor:
    """(B, longest) bool from lengths (B,): True within each length. No value is read."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch norm of (B, C, T) whose statistics in training leave the padding out."""

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, C, T) to (B, C, T), float32 in training; ``mask`` (B, 1, T) is 1 within each length."""
        if mask is None or not self.training:
            return super().forward(input)
        with full_precision(input.device):
            x, mask = wide(input), wide(mask)
            count = mask.sum().clamp(min=1)
            mean = (x * mask).sum((0, 2)) / count
            centred = x - mean[:, None]
            variance = (centred.square() * mask).sum((0, 2)) / count
            self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
            scale = self.weight * (variance + self.eps).rsqrt()
            return centred * scale[:, None] + self.bias[:, None]

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        running_mean, running_var, count = self.running_mean, self.running_var, self.num_batches_tracked
        assert running_mean is not None
        assert running_var is not None
        assert count is not None
        count += 1
        running_mean.lerp_(mean.to(running_mean.dtype), self.momentum or 0.0)
        running_var.lerp_(variance.to(running_var.dtype), self.momentum or 0.0)


def blocks(widths: Sequence[int], kernel: int, likes: Sequence[str]) -> nn.ModuleList:
    """Convolutions, each with its batch norm; the names of parameters are those of NVIDIA's and torchaudio's code."""
    made = []
    for inputs, outputs, like in zip(widths, widths[1:], likes, strict=False):
        made.append(nn.ModuleList([convolution(inputs, outputs, kernel, like=like), MaskedBatchNorm(outputs)]))
    return nn.ModuleList(made)


def through(
    layers: nn.ModuleList,
    x: Tensor,
    mask: Tensor | None,
    activations: Sequence[Callable[[Tensor], Tensor]],
    rate: float,
) -> Tensor:
    """(B, C, T) through `blocks`; with ``mask`` (B, 1, T) a clip is treated as the clip alone is. ``rate``: dropout."""
    for layer, activation in zip(layers, activations, strict=True):
        convolve, norm = layer  # pyright: ignore[reportGeneralTypeIssues]
        x = norm(convolve(x if mask is None else x * mask), mask)
        x = F.dropout(activation(x), rate, rate > 0)
    return x if mask is None else x * mask
