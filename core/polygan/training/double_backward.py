"""Convolutions whose second derivatives cost what their first ones do.

torch forms the gradient of a gradient by a convolution's weights as a convolution with kernels of the size of the maps, channel
group by channel group, and also where the weights are constants. The nodes here call first-order kernels alone.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.overrides import TorchFunctionMode

from ..messages import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def _find_watchers() -> Callable[[], bool] | None:
    """What tells whether transforms or hooks look through the operations of this moment; None where torch no longer says so.

    torch has no public names for it. Without them convolutions are left to torch.
    """
    try:
        from torch._C import _are_functorch_transforms_active as transformed
        from torch._C._autograd import _top_saved_tensors_default_hooks as hooked

        transformed()
        hooked(False)  # which takes the argument
    except (ImportError, AttributeError, TypeError):
        return None
    # Hooks are those of activation checkpoints, which compute again without this mode.
    return lambda: transformed() or bool(hooked(False))


_watched = _find_watchers()


@cache
def _tell_once() -> None:
    say(
        f"polygan: torch {torch.__version__} lacks what fast second derivatives of convolutions need; torch's own are used, "
        "which give the same and take longer"
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
        """Of the convolution that takes maps of size ``outputs`` back to ``inputs``."""
        missing = tuple(
            0 if self.transposed else i - ((o - 1) * s - 2 * p + d * (k - 1) + 1)
            for i, o, k, s, p, d in zip(inputs, outputs, kernel, self.stride, self.padding, self.dilation, strict=True)
        )
        return self._replace(transposed=not self.transposed, output_padding=missing)


class _Parameters(Function):
    """Takes the gradient of the output to weight and bias. A node of its own: one that is not asked for them does not run."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor | None, x: Tensor, live: list[Tensor], shape: Any, g: _Geometry
    ) -> Tensor:
        ctx.save_for_backward(weight, x)
        ctx.live, ctx.geometry = live, g
        return x.new_empty(()).expand(shape)  # no memory: only its gradient matters

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (grad,), (weight, x), g = gradients, ctx.saved_tensors, ctx.geometry
        x = ctx.live.pop() if ctx.live else x
        by_weight = by_bias = None
        if ctx.needs_input_grad[0]:
            # That of a transposed convolution is that of its adjoint, of which the input is the output's gradient.
            top, bottom = (x, grad) if g.transposed else (grad, x)
            how = (g.stride, g.padding, g.dilation, False, [0] * len(g.stride), g.groups)
            by_weight = torch.ops.aten.convolution_backward(top, bottom, weight, None, *how, [False, True, False])[1]
        if ctx.needs_input_grad[1]:
            by_bias = grad.sum((0, *range(2, grad.dim())))
        return by_weight, by_bias, None, None, None, None


class _Input(Function):
    """Takes the gradient of the output to the input, by the adjoint convolution, and hands it on to `_Parameters`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, parameters: Tensor, weight: Tensor, live: list[Tensor], made: list[Tensor], g: _Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.live, ctx.geometry = live, g
        return made.pop()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (grad,), (x, weight) = gradients, ctx.saved_tensors
        ctx.live[:] = [x] if torch.is_grad_enabled() else []  # with its graph, for derivatives of the weights' gradient
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
    parameters: Any = _Parameters.apply(weight, bias, x.detach(), live, y.shape, geometry)
    made: Any = _Input.apply(x, parameters, weight, live, [y], geometry)
    return made


def _forward(
    input: Tensor,  # these are torch's names, by which it may be called
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    return input, weight, bias, (stride, padding, dilation, False, 0, groups)


def _transposed(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    return input, weight, bias, (stride, padding, dilation, True, output_padding, groups)


_ARGUMENTS: dict[Any, tuple[int, Callable[..., Any]]] = {
    torch.conv1d: (1, _forward),
    torch.conv2d: (2, _forward),
    torch.conv3d: (3, _forward),
    torch.conv_transpose1d: (1, _transposed),
    torch.conv_transpose2d: (2, _transposed),
    torch.conv_transpose3d: (3, _transposed),
}


class DoubleBackward(TorchFunctionMode):
    """A context manager under which convolutions are made for differentiating twice; the trainer enters it for eager turns.

    Values and derivatives of every order are torch's to rounding. Left to torch: what autocast casts, what the transforms of
    `torch.func` or forward-mode differentiation look through, activation checkpoints, samples without a batch, and padding given
    as a word. All is left to torch where its private names for this have changed.
    """

    def __enter__(self) -> DoubleBackward:
        if _watched is None:
            _tell_once()
        return super().__enter__()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _ARGUMENTS and torch.is_grad_enabled():
            dims, arguments = _ARGUMENTS[func]
            x, weight, bias, (*sizes, groups) = arguments(*args, **kwargs)
            stride, padding, dilation, transposed, missing = sizes
            if _ours(x, weight, bias) and x.dim() == dims + 2 and not isinstance(padding, str):
                stride, padding, dilation, missing = (_each(v, dims) for v in (stride, padding, dilation, missing))
                return _convolve(x, weight, bias, _Geometry(stride, padding, dilation, transposed, missing, groups))
        return func(*args, **kwargs)


def _ours(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether backward passes, and these alone, will ask for derivatives."""
    given = [t for t in (x, weight, bias) if t is not None]
    cast = x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)  # which autocast does not know
    if cast or _watched is None or _watched() or not any(t.requires_grad for t in given):
        return False
    return all(forward_ad.unpack_dual(t).tangent is None for t in given)


def _each(value: Any, dims: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * dims if len(values) == 1 else values
