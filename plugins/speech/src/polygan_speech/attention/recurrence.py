"""LSTMs over steps whose inputs come one after another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_Uses = dict[int, tuple[Tensor, Tensor]]


class _Enter(torch.autograd.Function):
    """A weight as it is; its gradient is one product over all that `_Use` has noted when all uses have gone back."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, uses: _Uses) -> Tensor:
        ctx.uses = uses
        ctx.set_materialize_grads(False)
        return weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *_: Tensor | None
    ) -> tuple[Tensor | None, None]:
        if not ctx.uses:
            return None, None
        inputs, gradients = (torch.cat(part) for part in zip(*ctx.uses.values(), strict=True))
        ctx.uses.clear()
        return gradients.T @ inputs, None


class _Use(torch.autograd.Function):
    """base + x @ weight.T, without the gradient of the weight, which `_Enter` makes of ``uses``."""

    @staticmethod
    def forward(ctx: Any, base: Tensor, x: Tensor, weight: Tensor, uses: _Uses, step: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.uses, ctx.step = uses, step
        return torch.addmm(base, x, weight.T)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor, Tensor, None, None, None]:
        x, weight = ctx.saved_tensors
        if ctx.needs_input_grad[2]:
            ctx.uses[ctx.step] = x, gradient
        return gradient, gradient @ weight, None, None, None


class Recurrent:
    """A weight (outputs, inputs) that every step uses.

    Its gradient is one product over all steps. torch's own would be a small product for each step, and a sum over as many
    tensors of the weight's size. There are no second derivatives.
    """

    def __init__(self, weight: Tensor) -> None:
        self._uses: _Uses = {}
        self._step = 0
        self._weight: Tensor = _Enter.apply(weight, self._uses)

    def __call__(self, base: Tensor, x: Tensor) -> Tensor:
        """``base`` (B, outputs) + ``x`` (B, inputs) @ weight.T."""
        self._step += 1
        return _Use.apply(base, x, self._weight, self._uses, self._step)


def lstm(gates: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """An LSTM's hidden state and cells (B, units) from its gates (B, 4 * units), in torch's order, and the cells before."""
    let, forget, new, out = gates.chunk(4, 1)
    cells = forget.sigmoid() * cells + let.sigmoid() * new.tanh()
    return out.sigmoid() * cells.tanh(), cells
