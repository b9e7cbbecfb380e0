"""Layers of Parallel WaveGAN's generator: dilated convolutions with gates, on (B, T, C)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .convolutions import weight_norm

if TYPE_CHECKING:
    from collections.abc import Sequence

M = TypeVar("M", bound=nn.Module)
_T = TypeVar("_T")
_ROWS = 2048  # samples whose gates the cache of a core holds
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
    """A dilated convolution whose gated result goes on to the next layer and to the output (Yamamoto et al. 2020, section 3.3).

    `sum_of_skips` computes all layers together.
    """

    def __init__(
        self, channels: int, gates: int, skips: int, features: int, size: int, dilation: int, *, causal: bool
    ) -> None:
        super().__init__()
        self.dilation, self.causal = dilation, causal
        self.conv = convolution(channels, gates, size, dilation=dilation)
        self.conv1x1_aux = convolution(features, gates, bias=False)
        self.conv1x1_out = convolution(gates // 2, channels)
        self.conv1x1_skip = convolution(gates // 2, skips)


def sum_of_skips(layers: Sequence[Layer], x: Tensor, table: Tensor, features: Tensor) -> Tensor:
    """What layers that follow each other give to the output: x (B, T, channels) to (B, T, skips).

    ``table`` (B * F, hop, reach + 1) and ``features`` (layers, B * F, reach + 1, gates): their product is what the mel and the bias
    add to the gates of each frame, twice that for the tanh.
    """
    start = torch.stack([bias_of(layer.conv1x1_skip) for layer in layers]).sum(0)
    weights = [doubled(layer.conv.weight) for layer in layers]
    weights += [pointwise(layer.conv1x1_skip) for layer in layers]
    weights += [pointwise(layer.conv1x1_out) for layer in layers[:-1]]  # nothing hears what the last layer gives on
    biases = [bias_of(layer.conv1x1_out) for layer in layers[:-1]]
    start, table, features, *weights = lowered(start, table, features, *weights)
    plan = Plan(tuple(layer.dilation for layer in layers), layers[0].causal, torch.is_grad_enabled())
    return GatedStack.apply(plan, x, start, table, features, *weights, *biases)


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


def dilated(x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """(B, T, C) by a kernel (outputs, C, size) to (B, T, outputs), zeros around."""
    around = dilation * (weight.shape[2] - 1)
    found = F.conv2d(_planar(x), weight[:, :, None], bias, 1, (0, around // 2), (1, dilation))
    return found.squeeze(2).transpose(1, 2)


def _planar(x: Tensor) -> Tensor:
    """(B, T, C) as (B, C, 1, T) in channels_last, which CPUs run faster; no copy."""
    return x.transpose(1, 2)[:, :, None]


@dataclass(frozen=True)
class Plan:
    """What `GatedStack` is."""

    dilations: tuple[int, ...]
    causal: bool
    keeps: bool
    """Whether a backward pass may follow."""

    def padding(self, kernel: Tensor, dilation: int) -> tuple[int, tuple[int, int]]:
        """Zeros before the samples, and what else a convolution adds to the height and on both sides of the samples."""
        around = dilation * (kernel.shape[2] - 1)
        return (around, (0, 0)) if self.causal else (0, (0, around // 2))

    def parts(self, weights: Sequence[_T]) -> tuple[Sequence[_T], ...]:
        """Kernels, skips, outs and biases."""
        n = len(self.dilations)
        return weights[:n], weights[n : 2 * n], weights[2 * n : 3 * n - 1], weights[3 * n - 1 :]


class _Blocks:
    """Groups of frames whose gates the caches of a CPU's cores hold; elsewhere, and in half precision, one group."""

    def __init__(self, table: Tensor) -> None:
        """``table``: as of `sum_of_skips`."""
        count, self.hop, _ = table.shape
        fits = max(1, _ROWS * torch.get_num_threads() // self.hop)
        small = table.device.type != "cpu" or table.dtype not in (torch.float32, torch.float64)
        self.frames = count if small else fits

    def of_frames(self, values: Tensor) -> tuple[Tensor, ...]:
        """(B * F, ...) to (frames, ...)."""
        return values.split(self.frames)

    def of_samples(self, values: Tensor) -> tuple[Tensor, ...]:
        """(..., C), B * T in all, to (frames * hop, C)."""
        return values.flatten(0, -2).split(self.frames * self.hop)


class GatedStack(torch.autograd.Function):
    """All layers as one function. A layer is one convolution over all samples, and the rest in blocks that stay in a CPU's cache.

    The rows of tanh come in `doubled`: tanh(a) s(b) = 2 s(2 a) s(b) - s(b). ``z`` is minus that.
    """

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, plan: Plan, x: Tensor, start: Tensor, table: Tensor, features: Tensor, *weights: Tensor
    ) -> Tensor:
        """As `sum_of_skips`. ``start`` (S,) is the first sum. Weights: kernels (2 Z, C, size) and skips (S, Z) of all layers, outs
        (C, Z) and their biases (C,) of all but the last."""
        kernels, skips, outs, biases = plan.parts(weights)
        blocks, kept, keeps = _Blocks(table), [], plan.keeps and any(ctx.needs_input_grad)
        total = start.repeat(*x.shape[:2], 1)
        rows, sums = blocks.of_frames(table), blocks.of_samples(total)
        for i, dilation in enumerate(plan.dilations):
            past, padding = plan.padding(kernels[i], dilation)
            seen = x.to(table.dtype)
            seen = F.pad(seen, (0, 0, past, 0)) if past else seen
            s = F.conv2d(_planar(seen), kernels[i][:, :, None], None, 1, padding, (1, dilation))
            s = s.squeeze(2).transpose(1, 2).contiguous()  # (B, T, 2 Z)
            onward = i < len(outs)
            y, bias = (x.new_empty(x.shape), biases[i] * HALF) if onward else (x, None)
            pieces = *map(blocks.of_samples, (s, x, y)), blocks.of_frames(features[i])
            for gates, before, after, own, row, summed in zip(*pieces, rows, sums, strict=True):
                gates.view(*row.shape[:2], -1).baddbmm_(row, own)
                a, b = gates.sigmoid_().chunk(2, -1)
                z = torch.addcmul(b, a, b, value=-2)
                summed.addmm_(z, skips[i].t(), alpha=-1)
                if bias is not None:
                    torch.add(bias, before, alpha=HALF, out=after)
                    _add_product(after, z, outs[i].t(), -HALF)
            if keeps:
                kept += [seen, s]
            x = y
        if keeps:
            ctx.plan, ctx.kind = plan, x.dtype
            ctx.save_for_backward(table, features, *weights, *kept)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Of all tensors."""
        plan, (table, features, *saved) = ctx.plan, ctx.saved_tensors
        needs_x, learns = ctx.needs_input_grad[1], any(ctx.needs_input_grad[5:])
        count = len(ctx.needs_input_grad) - 5
        weights, kept, blocks = saved[:count], saved[count:], _Blocks(table)
        kernels, skips, outs, _ = plan.parts(weights)
        found = [torch.zeros_like(weight) for weight in weights]
        for_kernels, for_skips, for_outs, for_biases = plan.parts(found)
        for_features, both, gradient = torch.empty_like(features), torch.empty_like(kept[1]), gradient.contiguous()
        turned = table.transpose(1, 2).contiguous()
        for_table, new = torch.zeros_like(turned), None
        for_x = both.new_zeros(*both.shape[:2], kept[0].shape[2], dtype=ctx.kind)
        shared = *map(blocks.of_frames, (turned, for_table)), blocks.of_samples(gradient)
        for i in reversed(range(len(kernels))):
            seen, s = kept[2 * i : 2 * i + 2]
            pieces = *map(blocks.of_samples, (s, both)), *map(blocks.of_frames, (features[i], for_features[i]))
            later = (blocks.of_samples(for_x), blocks.of_samples(for_x if new is None else new))
            every = zip(*pieces, *shared, *later, strict=True)
            for gates, for_gates, own, for_own, row, for_row, summed, after, added in every:
                a, b = gates.chunk(2, -1)
                z = torch.addcmul(b, a, b, value=-2)
                for_z = torch.addmm(z, summed, skips[i], beta=0, alpha=-1)
                if learns:
                    for_skips[i].addmm_(summed.t(), z, alpha=-1)
                if new is not None:
                    given = torch.add(added, after, alpha=HALF, out=after).to(z.dtype)
                    for_z.addmm_(given, outs[i], alpha=-HALF)
                    if learns:
                        for_outs[i].addmm_(given.t(), z, alpha=-HALF)
                        for_biases[i].add_(after.sum(0), alpha=HALF)
                first, second = for_gates.chunk(2, -1)
                torch.addcmul(z.new_zeros(()), for_z, b, value=-2, out=first)
                torch.addcmul(for_z, for_z, a, value=-2, out=second)
                torch.ops.aten.sigmoid_backward.grad_input(for_gates, gates, grad_input=for_gates)
                for_frames = for_gates.view(len(row), -1, for_gates.shape[1])
                for_row.baddbmm_(own, for_frames.transpose(1, 2))
                torch.bmm(row, for_frames, out=for_own)
            dilation, needed = plan.dilations[i], [i > 0 or needs_x, learns, False]
            past, padding = plan.padding(kernels[i], dilation)
            new, for_kernel, _ = torch.ops.aten.convolution_backward(
                *(_planar(both), _planar(seen), kernels[i][:, :, None], None),
                *([1, 1], padding, (1, dilation), False, [0, 0], 1, needed),
            )
            if learns:
                for_kernels[i].copy_(for_kernel.squeeze(2))
            new = new.squeeze(2).transpose(1, 2)[:, past:] if needed[0] else None
        for_x = for_x if new is None else torch.add(new, for_x, alpha=HALF, out=for_x)
        for_start = gradient.flatten(0, 1).sum(0)
        return None, for_x if needs_x else None, for_start, for_table.transpose(1, 2), for_features, *found


def _add_product(total: Tensor, a: Tensor, b: Tensor, factor: float) -> None:
    """Add a product of matrices times ``factor`` to a sum, which may have a wider type."""
    if total.dtype == a.dtype:
        total.addmm_(a, b, alpha=factor)
    else:
        total.add_(a @ b, alpha=factor)
