"""Layers of style-based networks: equalised learning rates, FIR resampling, modulated convolutions, batch statistics.

Weights and biases hold the gain sqrt(2) of leaky ReLU: the function is positively homogeneous, so the gain passes through.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GAIN = math.sqrt(2)
SLOPE = 0.2
_TAPS = (1, 3, 3, 1)


class Resample(nn.Module):
    """FIR filtering of pictures (n, C, H, W) as one depthwise convolution (Karras et al. 2020, "StyleGAN2", section 4).

    The 4x4 filter's rows and columns are [1, 3, 3, 1]. ``up``: to (2H, 2W), zeros between the pixels; ``down``: to (H/2, W/2);
    ``blur``: to (H - 1, W - 1), after a transposed convolution of stride 2; ``antialias``: to (H + 1, W + 1),
    before a 3x3 convolution of stride 2.
    """

    taps: Tensor

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.padding = kind, 2 if kind == "antialias" else 1
        taps = torch.tensor(_TAPS)
        # Whole numbers, because processes average buffers of floats.
        self.register_buffer("taps", torch.outer(taps, taps)[None, None], persistent=False)
        self.gain = (4.0 if kind in ("up", "blur") else 1.0) / sum(_TAPS) ** 2

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        taps = (self.taps.to(x.dtype) * self.gain).expand(channels, 1, 4, 4)
        if self.kind == "up":
            return F.conv_transpose2d(x, taps, stride=2, padding=self.padding, groups=channels)
        return F.conv2d(x, taps, stride=2 if self.kind == "down" else 1, padding=self.padding, groups=channels)


class EqualLinear(nn.Module):
    """A linear layer (n, inputs) -> (n, outputs) with an equalised learning rate (Karras et al. 2018, section 4.1).

    ``rate`` multiplies the learning rate, ``gain`` the output; ``bias`` is the initial bias.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.weight_gain, self.bias_gain = gain * rate / math.sqrt(inputs), gain * rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class EqualConv(nn.Module):
    """A convolution of ``kernel`` with an equalised learning rate, then leaky ReLU if ``activate``; ``down`` halves the size.

    A kernel of 3 filters and then strides; a kernel of 1 keeps every second pixel of the filtered picture.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, down: bool = False, activate: bool = True, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if activate else None
        self.gain = gain * (GAIN if activate else 1.0)
        self.weight_gain = self.gain / math.sqrt(inputs * kernel * kernel)
        self.filter = Resample("down" if kernel == 1 else "antialias") if down else None
        self.stride = 2 if down and kernel > 1 else 1
        self.padding = 0 if down else kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        if self.filter is not None:
            x = self.filter(x)
        bias = None if self.bias is None else self.bias * self.gain
        y = F.conv2d(x, self.weight * self.weight_gain, bias, self.stride, self.padding)
        return y if self.bias is None else F.leaky_relu_(y, SLOPE)


class ModulatedConv(nn.Module):
    """A convolution whose input channels a style scales, and whose output channels are brought back to unit variance.

    Karras et al. 2020 ("StyleGAN2"), eq. 1 and 3, without a weight for each sample: the style scales the inputs, the weights are
    shared, and the demodulation 1 / sqrt(sum_ik (s_i w_oik)^2) scales the outputs. The result is the same.
    (n, inputs, H, W) and styles (n, style_dim) to (n, outputs, H, W), or (2H, 2W) with ``up``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        style_dim: int,
        *,
        up: bool = False,
        demodulate: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.style = EqualLinear(style_dim, inputs, bias=1.0)
        self.weight_gain = 1 / math.sqrt(inputs * kernel * kernel)
        self.padding, self.demodulate, self.gain = kernel // 2, demodulate, gain
        self.filter = Resample("blur") if up else None

    def forward(self, x: Tensor, style: Tensor, bias: Tensor) -> Tensor:
        """``bias`` (outputs,) is added last."""
        scale = self.style(style)  # (n, inputs)
        weight = self.weight * self.weight_gain
        x = x * scale[:, :, None, None].to(x.dtype)
        if self.filter is None:
            y = F.conv2d(x, weight, padding=self.padding)
        else:
            y = self.filter(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        bias = bias[None, :, None, None].to(y.dtype)
        if not self.demodulate:
            return y + bias
        power = F.linear(scale.square(), weight.square().sum((2, 3)))  # (n, outputs)
        demodulation = self.gain * (power + 1e-8).rsqrt()
        return torch.addcmul(bias, y, demodulation[:, :, None, None].to(y.dtype))


class SynthesisLayer(nn.Module):
    """A 3x3 `ModulatedConv`, noise of a learned strength if ``noise``, bias and leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, style_dim: int, *, up: bool = False, noise: bool = True) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style_dim, up=up, gain=GAIN)
        self.strength = nn.Parameter(torch.zeros(())) if noise else None
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None = None) -> Tensor:
        """``noise`` (n or 1, 1, H, W), standard normal."""
        y = self.conv(x, style, self.bias * GAIN)
        if noise is not None and self.strength is not None:
            y = y + (noise * (self.strength * GAIN)).to(y.dtype)
        return F.leaky_relu_(y, SLOPE)


class MinibatchStd(nn.Module):
    """Adds a channel with the mean standard deviation within groups of neighbours (Karras et al. 2018, section 3).

    (n, C, H, W) to (n, C + 1, H, W). A group has the largest number of samples up to ``most`` that divides n. Groups of
    neighbours stay together when processes share a batch.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        size = next(g for g in range(min(self.most, n), 0, -1) if n % g == 0)
        groups = (x if x.dtype == torch.float64 else x.float()).unflatten(
            0, (n // size, size)
        )  # (groups, size, C, H, W)
        variance = groups.var(1, correction=0)
        mean = (variance + 1e-8).sqrt().mean((1, 2, 3), keepdim=True)  # (groups, 1, 1, 1)
        return torch.cat([x, mean.repeat_interleave(size, 0).expand(n, 1, height, width).to(x.dtype)], 1)


def normalise(x: Tensor) -> Tensor:
    """Rows (n, d) scaled to a mean square of 1."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
