"""Discriminators of waveforms. Each is a family whose members return their feature maps; the last one is the logits.

Called with waveforms (B, T) in [-1, 1]; T is any length that its pooling and strides leave a sample of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from .convolutions import full_precision, wide

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SLOPE = 0.1
Features = list[list[Tensor]]
"""Of each member its feature maps in order, the logits last; the first dimension is the batch."""
Layer = tuple[int, tuple[int, int], tuple[int, int]]
"""Channels, kernel size and stride, both along frequency and time."""


class Family(nn.Module):
    """Discriminators of one kind, side by side."""

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(members)

    def forward(self, waveform: Tensor) -> Features:
        """The features of every member."""
        return [member(waveform) for member in self.discriminators]


class Discriminators(nn.Module):
    """Families of discriminators as one network; their features in a row."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        super().__init__()
        self.families = nn.ModuleDict(families)

    def forward(self, waveform: Tensor) -> Features:
        """Waveforms (B, T) to the features of all members."""
        return [features for family in self.families.values() for features in family(waveform)]


class Period(nn.Module):
    """Sees every p-th sample (Kong et al. 2020, section 2.3): the waveform folded into p rows, convolved along time.

    The rows lie above each other with time along them, the official code has it the other way round: the same numbers,
    but the inner loops of a convolution are long.
    """

    def __init__(self, period: int, widths: Sequence[int] = (32, 128, 512, 1024, 1024), size: int = 5) -> None:
        super().__init__()
        self.period = period
        strides = (3,) * (len(widths) - 1) + (1,)
        self.convs = nn.ModuleList(
            parametrizations.weight_norm(nn.Conv2d(a, b, (1, size), (1, s), (0, size // 2)))
            for a, b, s in zip((1, *widths), widths, strides, strict=False)
        )
        self.conv_post = parametrizations.weight_norm(nn.Conv2d(widths[-1], 1, (1, 3), 1, (0, 1)))

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """Maps (B, C, period, T')."""
        missing = -waveform.shape[-1] % self.period
        x = F.pad(waveform[:, None], (0, missing), mode="reflect") if missing else waveform[:, None]
        x = x.unflatten(2, (-1, self.period)).transpose(2, 3)  # (B, 1, p, T / p)
        maps = []
        for convolution in self.convs:
            x = F.leaky_relu(convolution(x), SLOPE, inplace=True)
            maps.append(x)
        return [*maps, self.conv_post(x)]


class Scale(nn.Module):
    """Sees the smoothed waveform (Kong et al. 2020, section 2.3, after MelGAN): grouped convolutions, long kernels."""

    def __init__(self, pools: int, *, spectral: bool = False, width: int = 128) -> None:
        """``pools``: times that the waveform is halved before; ``width``: channels of the first layer (the paper's 128)."""
        super().__init__()
        norm = parametrizations.spectral_norm if spectral else parametrizations.weight_norm
        w = width
        layers = (  # channels, size, stride, groups
            (1, w, 15, 1, 1),
            (w, w, 41, 2, 4),
            (w, 2 * w, 41, 2, 16),
            (2 * w, 4 * w, 41, 4, 16),
            (4 * w, 8 * w, 41, 4, 16),
            (8 * w, 8 * w, 41, 1, 16),
            (8 * w, 8 * w, 5, 1, 1),
        )
        self.pools = pools
        self.convs = nn.ModuleList(norm(nn.Conv1d(a, b, k, s, k // 2, groups=g)) for a, b, k, s, g in layers)
        self.conv_post = norm(nn.Conv1d(8 * w, 1, 3, 1, 1))

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """Maps (B, C, T')."""
        x = waveform[:, None]
        for _ in range(self.pools):
            x = F.avg_pool1d(x, 4, 2, 2)
        maps = []
        for convolution in self.convs:
            x = F.leaky_relu(convolution(x), SLOPE, inplace=True)
            maps.append(x)
        return [*maps, self.conv_post(x)]


class Resolution(nn.Module):
    """Sees one magnitude spectrogram (Jang et al. 2021, UnivNet, section 2.3).

    Magnitudes are raised to 0.3: quiet bins are seen, and bf16 keeps what is heard.
    """

    def __init__(self, n_fft: int, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.n_fft = n_fft
        widths = (1, *(width for width, _, _ in layers))
        self.convs = nn.ModuleList(
            parametrizations.weight_norm(nn.Conv2d(inputs, width, size, stride, (size[0] // 2, size[1] // 2)))
            for inputs, (width, size, stride) in zip(widths, layers, strict=False)
        )
        self.conv_post = parametrizations.weight_norm(nn.Conv2d(widths[-1], 1, 3, 1, 1))

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """Maps (B, C, F', T')."""
        x = self.spectrogram(waveform)[:, None]
        maps = []
        for convolution in self.convs:
            x = F.leaky_relu(convolution(x), SLOPE, inplace=True)
            maps.append(x)
        return [*maps, self.conv_post(x)]

    def spectrogram(self, waveform: Tensor) -> Tensor:
        """(B, T) to (B, n_fft / 2 + 1, frames) compressed magnitudes, hop n_fft / 4."""
        with full_precision(waveform.device):
            waveform = wide(waveform)
            window = torch.hann_window(self.n_fft, dtype=waveform.dtype, device=waveform.device)
            x = F.pad(waveform[:, None], (self.n_fft // 2, self.n_fft // 2), mode="reflect")[:, 0]
            spectrum = torch.stft(x, self.n_fft, self.n_fft // 4, self.n_fft, window, center=False, return_complex=True)
            return (spectrum.real.square() + spectrum.imag.square() + 1e-7).pow(0.15)


PERIODS = (2, 3, 5, 7, 11)
SIZES = (1024, 2048, 512)
"""Of the Fourier transforms of spectrogram discriminators."""


def multi_period(divisor: int = 1) -> Family:
    """Kong et al. 2020; ``divisor`` of the channels."""
    return Family(Period(p, tuple(w // divisor for w in (32, 128, 512, 1024, 1024))) for p in PERIODS)


def multi_scale(divisor: int = 1) -> Family:
    """Kong et al. 2020: the waveform with spectral norm, halved and quartered with weight norm; ``divisor`` of the channels."""
    return Family(Scale(i, spectral=i == 0, width=128 // divisor) for i in range(3))


def multi_resolution(width: int = 32) -> Family:
    """Jang et al. 2021, with ``width`` channels: strides along frequency alone."""
    layers = [(width, (9, 3), (1, 1)), *[(width, (9, 3), (2, 1))] * 3, (width, (3, 3), (1, 1))]
    return Family(Resolution(n, layers) for n in SIZES)


SMALL_PERIODS = (2, 5, 11)
SMALL_SIZES = (512, 1024)


def small_multi_period(width: int = 8) -> Family:
    """Fewer periods and channels, which double from ``width`` to eight times that."""
    return Family(Period(p, tuple(width << min(i, 3) for i in range(5))) for p in SMALL_PERIODS)


def small_multi_resolution(width: int = 16) -> Family:
    """Two spectrograms, strides along frequency and time from the first layer on: far fewer operations than `multi_resolution`."""
    layers = [
        (width, (9, 3), (4, 2)),
        (2 * width, (5, 3), (4, 2)),
        (4 * width, (3, 3), (2, 1)),
        (4 * width, (3, 3), (1, 1)),
    ]
    return Family(Resolution(n, layers) for n in SMALL_SIZES)
