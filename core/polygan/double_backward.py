"""Convolutions whose second derivatives cost as much as their first derivatives.

For the gradient of a gradient by a convolution's weights, torch runs a convolution whose kernels are as large as the maps, for each
channel group, even where the weights are constants. The autograd nodes in this file call first-order kernels only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.overrides import TorchFunctionMode

from .messages import say

T = TypeVar("T")

Sizes = int | Sequence[int]
"""One size for all dimensions, or a size for each."""
Call: TypeAlias = tuple[Tensor, Tensor, Tensor | None, Sizes, Sizes | str, Sizes, bool, Sizes, int]
"""Input, weight, bias, stride, padding, dilation, whether transposed, output padding, groups."""


def _find_watchers() -> Callable[[], bool] | None:
    """A function that tells whether transforms or hooks watch the current operations; None where torch lacks the names.

    torch has no public names for this question. Without the private names, torch computes the convolutions itself.
    """
    try:
        from torch._C import _are_functorch_transforms_active as transformed
        from torch._C._autograd import _top_saved_tensors_default_hooks as hooked

        transformed()
        hooked(False)  # raises TypeError where the function takes no argument
    except (ImportError, AttributeError, TypeError):
        return None
    # Activation checkpoints use these hooks, and compute again without this mode.
    return lambda: transformed() or bool(hooked(False))


_watched = _find_watchers()


@cache
def _tell_once() -> None:
    say(
        f"polygan: torch {torch.__version__} lacks functions that fast second derivatives of convolutions need; torch's own "
        "derivatives are used, which give the same results but take longer"
    )


class _Geometry(NamedTuple):
    """The arguments of `torch.convolution` after the bias."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int

    def adjoint(self, inputs: Iterable[int], outputs: Iterable[int], kernel: Iterable[int]) -> _Geometry:
        """The geometry of the convolution that takes maps of size ``outputs`` back to size ``inputs``."""
        missing = tuple(
            0 if self.transposed else i - ((o - 1) * s - 2 * p + d * (k - 1) + 1)
            for i, o, k, s, p, d in zip(inputs, outputs, kernel, self.stride, self.padding, self.dilation, strict=True)
        )
        return self._replace(transposed=not self.transposed, output_padding=missing)


class _Node(Protocol):
    """What autograd and the passes of a node keep for its backward pass."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    live: list[Tensor]
    geometry: _Geometry

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _Parameters(Function):
    """Takes the output's gradient to weight and bias. Autograd skips this node where neither gradient is needed."""

    @staticmethod
    def forward(
        ctx: _Node,
        weight: Tensor,
        bias: Tensor | None,
        x: Tensor,
        live: list[Tensor],
        shape: torch.Size,
        g: _Geometry,
    ) -> Tensor:
        ctx.save_for_backward(weight, x)
        ctx.live, ctx.geometry = live, g
        return x.new_empty(()).expand(shape)  # takes no memory: only its gradient matters

    @staticmethod
    def backward(ctx: _Node, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (weight, x), g = gradients, ctx.saved_tensors, ctx.geometry
        x = ctx.live.pop() if ctx.live else x
        by_weight = by_bias = None
        if ctx.needs_input_grad[0]:
            # A transposed convolution has the weight gradient of its adjoint, whose input is the output's gradient.
            top, bottom = (x, grad) if g.transposed else (grad, x)
            how = (g.stride, g.padding, g.dilation, False, [0] * len(g.stride), g.groups)
            by_weight = torch.ops.aten.convolution_backward(top, bottom, weight, None, *how, [False, True, False])[1]
        if ctx.needs_input_grad[1]:
            by_bias = grad.sum((0, *range(2, grad.dim())))
        return by_weight, by_bias, None, None, None, None


class _Input(Function):
    """Takes the output's gradient to the input, by the adjoint convolution, and passes it on to `_Parameters`."""

    @staticmethod
    def forward(
        ctx: _Node, x: Tensor, parameters: Tensor, weight: Tensor, live: list[Tensor], made: list[Tensor], g: _Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.live, ctx.geometry = live, g
        return made.pop()

    @staticmethod
    def backward(ctx: _Node, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (x, weight) = gradients, ctx.saved_tensors
        ctx.live[:] = (
            [x] if torch.is_grad_enabled() else []
        )  # x with its graph, for derivatives of the weights' gradient
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = _convolve(grad, weight, None, ctx.geometry.adjoint(x.shape[2:], grad.shape[2:], weight.shape[2:]))
        return by_x, grad if ctx.needs_input_grad[1] else None, None, None, None, None


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
    with torch.no_grad():
        y = torch.convolution(x, weight, bias, *geometry)
    if not torch.is_grad_enabled():
        return y
    live: list[Tensor] = []
    parameters = _Parameters.apply(weight, bias, x.detach(), live, y.shape, geometry)
    return _Input.apply(x, parameters, weight, live, [y], geometry)


def _forward(
    input: Tensor,  # torch's names, since callers may pass arguments by name
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Call:
    return input, weight, bias, stride, padding, dilation, False, 0, groups


def _transposed(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Call:
    return input, weight, bias, stride, padding, dilation, True, output_padding, groups


_ARGUMENTS: Mapping[object, tuple[int, Callable[..., Call]]] = {
    torch.conv1d: (1, _forward),
    torch.conv2d: (2, _forward),
    torch.conv3d: (3, _forward),
    torch.conv_transpose1d: (1, _transposed),
    torch.conv_transpose2d: (2, _transposed),
    torch.conv_transpose3d: (3, _transposed),
}


class DoubleBackward(TorchFunctionMode):
    """A context manager that makes convolutions fast to differentiate twice. The trainer uses it for eager turns.

    Values and derivatives of every order equal torch's up to rounding. torch itself computes convolutions under autocast, under
    transforms of `torch.func`, under forward-mode differentiation and in activation checkpoints, and convolutions of samples
    without a batch or with padding given as a word. torch computes every convolution where its private names have changed.
    """

    def __enter__(self) -> DoubleBackward:
        if _watched is None:
            _tell_once()
        return super().__enter__()

    def __torch_function__(
        self,
        func: Callable[..., T],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> T | Tensor:
        kwargs = kwargs or {}
        if func in _ARGUMENTS and torch.is_grad_enabled():
            dims, arguments = _ARGUMENTS[func]
            x, weight, bias, stride, padding, dilation, transposed, missing, groups = arguments(*args, **kwargs)
            if _ours(x, weight, bias) and x.dim() == dims + 2 and not isinstance(padding, str):
                before = _each(stride, dims), _each(padding, dims), _each(dilation, dims)
                return _convolve(x, weight, bias, _Geometry(*before, transposed, _each(missing, dims), groups))
        return func(*args, **kwargs)


def _ours(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether backward passes, and nothing else, will ask for derivatives."""
    given = [t for t in (x, weight, bias) if t is not None]
    cast = x.device.type != "meta" and torch.is_autocast_enabled(
        x.device.type
    )  # autocast does not know the meta device
    if cast or _watched is None or _watched() or not any(t.requires_grad for t in given):
        return False
    return all(forward_ad.unpack_dual(t).tangent is None for t in given)


def _each(value: Sizes, dims: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * dims if len(values) == 1 else values
