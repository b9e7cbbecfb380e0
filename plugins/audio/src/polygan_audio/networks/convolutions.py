"""One-dimensional convolutions that also run as two-dimensional ones; folding; full precision."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

M = TypeVar("M", bound=nn.Module)


class Conv1d(nn.Conv1d):
    """A convolution that keeps the length times 1 / stride; (B, C, T), or (B, C, 1, T) in channels_last, which CPUs run faster."""

    def __init__(self, inputs: int, outputs: int, size: int, *, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, size, padding=dilation * (size - 1) // 2, dilation=dilation)

    def forward(self, input: Tensor) -> Tensor:
        """The convolution, in the layout of the input."""
        if input.dim() == 3:
            return super().forward(input)
        return F.conv2d(
            input, self.weight[:, :, None], self.bias, 1, (0, int(self.padding[0])), (1, self.dilation[0]), self.groups
        )


class ConvTranspose1d(nn.ConvTranspose1d):
    """``rate`` times as many samples; the layouts of `Conv1d`. ``size`` - ``rate`` is even and not negative."""

    def __init__(self, inputs: int, outputs: int, size: int, rate: int) -> None:
        super().__init__(inputs, outputs, size, rate, padding=(size - rate) // 2)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The transposed convolution, in the layout of the input."""
        if input.dim() == 3:
            return super().forward(input, output_size)
        return F.conv_transpose2d(
            input, self.weight[:, :, None], self.bias, (1, self.stride[0]), (0, int(self.padding[0]))
        )


def weight_norm(module: nn.Module) -> nn.Module:
    """Weight norm (Salimans & Kingma 2016) of a layer's ``weight``."""
    return parametrizations.weight_norm(module)


def fold(network: M) -> M:
    """A copy whose parametrised weights (weight norm) are plain ones, without gradients; for synthesis and export."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        if parametrize.is_parametrized(module):
            weights = {name: getattr(module, name).detach() for name in module.parametrizations}  # pyright: ignore[reportGeneralTypeIssues]
            # parametrize.remove_parametrizations would take the properties from the class, which the original shares.
            del module.parametrizations
            module.__class__ = type(module).__bases__[0]
            for name, weight in weights.items():
                module.register_parameter(name, nn.Parameter(weight, requires_grad=False))
    return network.requires_grad_(False)


@torch.no_grad()
def refold(folded: nn.Module, network: nn.Module) -> None:
    """Give a copy that `fold` made the weights that the network has now; much faster than another copy."""
    places = folded.state_dict()
    for name, module in network.named_modules():
        if parametrize.is_parametrized(module):
            for weight in module.parametrizations:  # pyright: ignore[reportGeneralTypeIssues]
                places[f"{name}.{weight}".removeprefix(".")].copy_(getattr(module, weight))
    for key, value in network.state_dict().items():
        if key in places:
            places[key].copy_(value)


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """No autocast, which the meta device does not know, and programs of torch.export do not hold."""
    plain = device.type == "meta" or torch.compiler.is_exporting()
    return nullcontext() if plain else torch.autocast(device.type, enabled=False)


def wide(x: Tensor) -> Tensor:
    """``x`` in float32, or in float64 if it is."""
    return x if x.dtype == torch.float64 else x.float()


def doubled(x: Tensor) -> Tensor:
    """``x`` in float64; in float32 on mps, which has no float64."""
    return x.float() if x.device.type == "mps" else x.double()
