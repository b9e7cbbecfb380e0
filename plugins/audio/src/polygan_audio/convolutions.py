"""One-dimensional convolutions that also run as two-dimensional ones, and how much context they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

if TYPE_CHECKING:
    from collections.abc import Callable


class Conv1d(nn.Conv1d):
    """A convolution that keeps the length times 1 / stride; (B, C, T), or (B, C, 1, T) in channels_last, which CPUs run faster."""

    def __init__(self, inputs: int, outputs: int, size: int, *, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, size, padding=dilation * (size - 1) // 2, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """The convolution, in the layout of ``x``."""
        if x.dim() == 3:
            return super().forward(x)
        return F.conv2d(
            x, self.weight[:, :, None], self.bias, 1, (0, int(self.padding[0])), (1, self.dilation[0]), self.groups
        )


class ConvTranspose1d(nn.ConvTranspose1d):
    """``rate`` times as many samples; the layouts of `Conv1d`. ``size`` - ``rate`` is even and not negative."""

    def __init__(self, inputs: int, outputs: int, size: int, rate: int) -> None:
        super().__init__(inputs, outputs, size, rate, padding=(size - rate) // 2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The transposed convolution, in the layout of ``x``."""
        if x.dim() == 3:
            return super().forward(x, output_size)
        return F.conv_transpose2d(x, self.weight[:, :, None], self.bias, (1, self.stride[0]), (0, int(self.padding[0])))


def weight_norm(module: nn.Module) -> nn.Module:
    """Weight norm (Salimans & Kingma 2016) of a layer's ``weight``."""
    return parametrizations.weight_norm(module)


def fold(network: nn.Module) -> nn.Module:
    """Replace every parametrised weight by its value, in place; for synthesis, not for training."""
    for module in network.modules():
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):  # pyright: ignore[reportArgumentType,reportCallIssue,reportGeneralTypeIssues]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return network


def each(network: nn.Module, kinds: tuple[type[nn.Module], ...], function: Callable[[nn.Module], object]) -> None:
    """Call ``function`` on every submodule of these kinds."""
    for module in network.modules():
        if isinstance(module, kinds):
            function(module)
