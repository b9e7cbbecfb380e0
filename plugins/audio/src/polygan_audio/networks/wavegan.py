"""Generators and discriminators of short sounds (Donahue et al. 2019, "Adversarial audio synthesis", arXiv:1802.04208)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError

from .convolutions import wide

if TYPE_CHECKING:
    from collections.abc import Sequence

STRIDE, KERNEL = 4, 25
LEAST = 1024
"""Samples of the shortest sounds."""
_SLOPE = 0.2
_QUIET = 0.2  # the gain of the last layer at the start: sounds that fill the range of tanh teach nothing


def layers_for(samples: int) -> tuple[int, int]:
    """The first length, 16 to 63, and the number of layers, each of which makes it four times as long.

    16,384 samples are 16 times 4^5, the paper's. ConfigError where no number of layers gives ``samples``.
    """
    count = int(math.log(max(samples, 16) / 16, STRIDE) + 1e-9)
    unit = STRIDE**count
    if samples < LEAST or samples % unit:
        near = max(LEAST, math.ceil(samples / unit) * unit)
        raise ConfigError(
            f"data.segment = {samples} samples are not what {STRIDE}-fold layers make: take at least {LEAST}, and a multiple of "
            f"{unit}; use e.g. --data.segment {near}"
        )
    return samples // unit, count


def _start(module: nn.Module, inputs: float, gain: float = 2**0.5) -> None:
    """Normal weights that keep the size of activations; ``inputs`` is the number of values that each output sums (He et al. 2015)."""
    weight, bias = module.weight, module.bias
    assert isinstance(weight, Tensor)
    nn.init.normal_(weight, std=gain / inputs**0.5)
    if isinstance(bias, Tensor):
        nn.init.zeros_(bias)


class Conditioned(nn.Module):
    """The first layer: a latent vector, and the embedding of a class beside it, to maps (n, channels, length)."""

    def __init__(self, latent_dim: int, shape: tuple[int, ...], classes: int, embedding_dim: int) -> None:
        super().__init__()
        self.shape, width = shape, latent_dim + (embedding_dim if classes else 0)
        self.embedding = nn.Embedding(classes, embedding_dim) if classes else None
        self.dense = nn.Linear(width, math.prod(shape))
        _start(self.dense, width)

    def forward(self, latent: Tensor, label: Tensor | None) -> Tensor:
        """(n, latent_dim) and classes (n,) to (n, *shape). ConfigError for classes that are missing."""
        latent = latent.to(self.dense.weight.dtype)
        if self.embedding is not None:
            if label is None:
                raise ConfigError("this generator makes sounds of a class; pass label (n,)")
            latent = torch.cat([latent, self.embedding(label)], 1)
        return F.relu(self.dense(latent)).unflatten(1, self.shape)


class Longer(nn.Module):
    """A layer that makes (n, C, T) four times as long: a transposed convolution, or repeated samples and a convolution.

    The second leaves no tones at multiples of the old sample rate (Donahue et al. 2019, appendix A), and costs four times as much.
    """

    def __init__(self, inputs: int, outputs: int, *, nearest: bool = False, gain: float = 2**0.5) -> None:
        super().__init__()
        self.nearest = nearest
        self.layer: nn.Conv1d | nn.ConvTranspose1d
        if nearest:
            self.layer = nn.Conv1d(inputs, outputs, KERNEL, padding=KERNEL // 2)
        else:
            self.layer = nn.ConvTranspose1d(inputs, outputs, KERNEL, STRIDE, padding=11, output_padding=1)
        _start(self.layer, inputs * KERNEL / (1 if nearest else STRIDE), gain)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, T) to (n, C', 4 T)."""
        return self.layer(x.repeat_interleave(STRIDE, 2) if self.nearest else x)


class Harmonics(nn.Module):
    """Sines at multiples of a note's pitch, whose loudness and phase a network makes (Engel et al. 2020, DDSP, eq. 1 to 4).

    A network of convolutions cannot count the periods of a second exactly; a sine of a given frequency needs no counting.
    """

    cycles: Tensor

    def __init__(self, channels: int, samples: int, pitches: Sequence[float], count: int, rate: int) -> None:
        """``pitches``: Hz of each class. ``count``: sines; those beyond half of ``rate`` (Hz) are left out."""
        super().__init__()
        self.samples, self.count = samples, count
        self.strengths = nn.Conv1d(channels, 2 * count, 1)
        _start(self.strengths, channels, _QUIET)
        self.register_buffer("cycles", torch.tensor(pitches) / rate, persistent=False)  # a sample

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        """Features (n, channels, F) and classes (n,) to waveforms (n, samples): sum over k of a_k sin(k phase) + b_k cos(k phase)."""
        strengths = F.interpolate(self.strengths(features), size=self.samples, mode="linear", align_corners=False)
        sines, cosines = strengths.chunk(2, 1)  # (n, count, samples)
        each = torch.arange(1, self.count + 1, device=features.device, dtype=self.cycles.dtype)
        cycles = self.cycles[label][:, None] * each  # (n, count)
        time = torch.arange(self.samples, device=features.device, dtype=self.cycles.dtype)
        phase = 2 * math.pi * ((cycles[..., None] * time) % 1)
        heard = (cycles < 0.5)[..., None]
        return ((sines * phase.sin() + cosines * phase.cos()) * heard).sum(1)


class Generator(nn.Module):
    """Waveforms of ``samples`` from latent vectors by layers of kernel 25 and stride 4 (Donahue et al. 2019, table 3)."""

    def __init__(
        self,
        samples: int,
        width: int = 64,
        latent_dim: int = 100,
        *,
        classes: int = 0,
        embedding_dim: int = 32,
        nearest: bool = False,
        pitches: Sequence[float] = (),
        harmonics: int = 0,
        rate: int = 16_000,
    ) -> None:
        """``width``: channels of the last hidden layer; each layer before has twice as many.

        ``pitches``: Hz of each class, where the classes are notes; `Harmonics` of them are added.
        """
        super().__init__()
        first, count = layers_for(samples)
        widths = [width << i for i in reversed(range(count))] + [1]
        self.first = Conditioned(latent_dim, (widths[0], first), classes, embedding_dim)
        self.layers = nn.ModuleList(
            Longer(a, b, nearest=nearest, gain=_QUIET if b == 1 and i == count - 1 else 2**0.5)
            for i, (a, b) in enumerate(pairwise(widths))
        )
        self._sounding = count - 3  # layers before the sines' strengths, of which there is one in 64 samples
        self.harmonics = None
        if pitches and harmonics:
            self.harmonics = Harmonics(widths[self._sounding], samples, pitches, harmonics, rate)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Latents (n, latent_dim) and classes (n,), where there are classes, to (n, samples) in (-1, 1)."""
        x, sines = self.first(latent, label), None
        for i, layer in enumerate(self.layers):
            if self.harmonics is not None and label is not None and i == self._sounding:
                sines = self.harmonics(x, label)
            x = layer(x)
            if i < len(self.layers) - 1:
                x = F.relu(x)
        x = wide(x[:, 0])
        return (x if sines is None else x + wide(sines)).tanh()


class MelGenerator(nn.Module):
    """Log-mels from latent vectors: repeated pixels and convolutions, two by two from a coarse picture.

    Nothing is below silence, as in the log-mels of recordings: a network without that bound hisses where it should be silent.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        scale: tuple[float, float],
        width: int = 32,
        latent_dim: int = 100,
        *,
        classes: int = 0,
        embedding_dim: int = 32,
    ) -> None:
        """``shape``: bands and frames. ``scale``: what is 0 and how much is 1 before the last layer's picture is a log-mel; -1 is silence."""
        super().__init__()
        doublings = doublings_for(*shape)
        widths = [width << i for i in reversed(range(doublings))] + [max(1, width // 2)]
        self.scale = scale
        coarse = (widths[0], shape[0] >> doublings, shape[1] >> doublings)
        self.first = Conditioned(latent_dim, coarse, classes, embedding_dim)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 5, padding=2) for a, b in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], 1, 5, padding=2)
        for layer, inputs in zip(self.layers, widths, strict=False):
            _start(layer, inputs * 25)
        _start(self.last, widths[-1] * 25, _QUIET)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Latents (n, latent_dim) and classes (n,), where there are classes, to log-mels (n, n_mels, F), float32."""
        x = self.first(latent, label)
        for layer in self.layers:
            x = F.leaky_relu(layer(x.repeat_interleave(2, 2).repeat_interleave(2, 3)), _SLOPE)
        return wide(self.last(x)[:, 0]).clamp(min=-1) * self.scale[1] + self.scale[0]


def doublings_for(bands: int, frames: int) -> int:
    """How often both sides of a picture can be halved, at most 4. ConfigError below 2."""
    count = 0
    while count < 4 and not (bands >> count) % 2 and not (frames >> count) % 2:
        count += 1
    if count < 2:
        raise ConfigError(
            f"a log-mel of {bands} bands and {frames} frames is not what doublings make: both must be multiples of 4, better of 16; "
            "set --model.n_mels and --data.segment, e.g. 80 bands and 64 hops"
        )
    return count
