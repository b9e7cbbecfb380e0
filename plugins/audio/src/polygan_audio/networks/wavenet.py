"""Layers of Parallel WaveGAN's generator: dilated convolutions with gates, on (B, T, C)."""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .convolutions import weight_norm

M = TypeVar("M", bound=nn.Module)
HALF = math.sqrt(0.5)
"""Factor after each residual sum, which keeps the power."""


def convolution(inputs: int, outputs: int, size: int = 1, *, dilation: int = 1, bias: bool = True) -> nn.Conv1d:
    """A one-dimensional convolution with He's initial values and weight norm, as the reference implementation's."""
    made = nn.Conv1d(inputs, outputs, size, dilation=dilation, bias=bias)
    nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return weight_normed(made)


def weight_normed(layer: M) -> M:
    """The layer itself, with weight norm."""
    return cast("M", weight_norm(layer))


def pointwise(layer: nn.Conv1d) -> Tensor:
    """The weight (outputs, inputs) of a convolution of size 1."""
    return layer.weight[:, :, 0]


def bias_of(layer: nn.Conv1d) -> Tensor:
    """The bias of a layer that has one."""
    assert layer.bias is not None
    return layer.bias


class Layer(nn.Module):
    """A dilated convolution whose gated result goes on to the next layer and to the output (Yamamoto et al. 2020, section 3.3)."""

    def __init__(
        self, channels: int, gates: int, skips: int, features: int, size: int, dilation: int, *, causal: bool
    ) -> None:
        super().__init__()
        self.dilation, self.causal = dilation, causal
        self.conv = convolution(channels, gates, size, dilation=dilation)
        self.conv1x1_aux = convolution(features, gates, bias=False)
        self.conv1x1_out = convolution(gates // 2, channels)
        self.conv1x1_skip = convolution(gates // 2, skips)

    def forward(self, x: Tensor, total: Tensor, table: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, channels) and the sum of skips (B, T, skips) so far, to the same after this layer.

        ``table`` (B * F, hop, reach + 1) and ``features`` (B * F, reach + 1, gates): their product is what the mel and the bias add
        to the gates of each frame, twice that for the tanh. The bias of skips is left to the caller.
        """
        out, skip = pointwise(self.conv1x1_out).t(), pointwise(self.conv1x1_skip).t()
        inputs = lowered(x, doubled(self.conv.weight), table, features)
        z = Gated.apply(*inputs, self.dilation, self.causal).flatten(0, 1)  # (B * T, gates / 2), negative
        total = torch.addmm(total.flatten(0, 1), z, skip, alpha=-1).view(total.shape)
        y = torch.addmm(bias_of(self.conv1x1_out) * HALF, z, out, alpha=-HALF)
        return torch.add(y.view(x.shape), x, alpha=HALF), total


def doubled(weight: Tensor) -> Tensor:
    """Twice the first half of the rows: tanh(x) = 2 s(2 x) - 1, with the logistic function s that is several times as fast."""
    a, b = weight.chunk(2)
    return torch.cat([2 * a, b])


def lowered(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors in the precision of autocast, which does not look into `Gated`."""
    kind = tensors[0].device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind):  # autocast does not know the meta device
        return tensors
    return tuple(t.to(torch.get_autocast_dtype(kind)) for t in tensors)


def dilated(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """(B, T, C) by a kernel (outputs, C, size) to (B, T, outputs), zeros around."""
    around = dilation * (weight.shape[2] - 1)
    found = F.conv2d(_planar(x), weight[:, :, None], None, 1, (0, around // 2), (1, dilation))
    return found[:, :, 0].transpose(1, 2)


def _planar(x: Tensor) -> Tensor:
    """(B, T, C) as (B, C, 1, T) in channels_last, which CPUs run faster; no copy."""
    return x.transpose(1, 2)[:, :, None]


class Gated(torch.autograd.Function):
    """A dilated convolution, what the mel adds, and minus the gate tanh(a) s(b): one result, in few passes over memory.

    The rows of ``a`` come in `doubled`. tanh(a) s(b) = 2 s(2 a) s(b) - s(b).
    """

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, x: Tensor, weight: Tensor, table: Tensor, features: Tensor, dilation: int, causal: bool
    ) -> Tensor:
        """x (B, T, C), weight (2 Z, C, size), and the two factors of `Layer.forward`, to (B, T, Z)."""
        around = dilation * (weight.shape[2] - 1)
        seen = F.pad(x, (0, 0, around, 0)) if causal else x
        ctx.shape = (0, 0 if causal else around // 2), (1, dilation), around if causal else 0
        found = F.conv2d(_planar(seen), weight[:, :, None], None, 1, *ctx.shape[:2])
        s = found[:, :, 0].transpose(1, 2).contiguous()  # (B, T, 2 Z)
        s.view(*table.shape[:2], -1).baddbmm_(table, features)
        a, b = s.sigmoid_().chunk(2, -1)
        ctx.save_for_backward(seen, weight, table, features, s)
        return torch.addcmul(b, a, b, value=-2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Of all four tensors."""
        seen, weight, table, features, s = ctx.saved_tensors
        padding, dilation, before = ctx.shape
        a, b = s.chunk(2, -1)
        gradient = gradient.to(s.dtype)
        both = torch.empty_like(s)
        first, second = both.chunk(2, -1)
        torch.addcmul(both.new_zeros(()), gradient, b, value=-2, out=first)
        torch.addcmul(gradient, gradient, a, value=-2, out=second)
        both = torch.ops.aten.sigmoid_backward(both, s)
        frames = both.view(*table.shape[:2], -1)
        for_table = torch.bmm(frames, features.transpose(1, 2)) if ctx.needs_input_grad[2] else None
        for_features = torch.bmm(table.transpose(1, 2), frames) if ctx.needs_input_grad[3] else None
        needed = [*ctx.needs_input_grad[:2], False]
        for_x, for_weight, _ = torch.ops.aten.convolution_backward(
            _planar(both), _planar(seen), weight[:, :, None], None, [1, 1], padding, dilation, False, [0, 0], 1, needed
        )
        if for_x is not None:
            for_x = for_x[:, :, 0].transpose(1, 2)[:, before:]
        return for_x, for_weight[:, :, 0] if for_weight is not None else None, for_table, for_features, None, None
