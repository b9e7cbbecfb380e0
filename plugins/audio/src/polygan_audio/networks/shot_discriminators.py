"""Discriminators of short sounds: of the waveform (Donahue et al. 2019, arXiv:1802.04208), of its spectra, and of log-mels.

Each member looks at a sound in its own way (``view``) and gives a logit for what it sees. Gradient penalties are taken by the views:
the slope of a logarithm of magnitudes by the samples has no bound.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .convolutions import full_precision, wide
from .wavegan import KERNEL, STRIDE, layers_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SLOPE = 0.2
_FLOOR = 1e-2  # of magnitudes, about -66 dB of full scale: silence is no other than quiet noise
_SPREAD = 5.0  # nats that are 1 in a picture of log magnitudes


class Member(nn.Module):
    """One discriminator of a sound."""

    def view(self, sound: Tensor) -> Tensor:
        """What the member looks at: the sound itself."""
        return sound

    def forward(self, view: Tensor, label: Tensor | None, shifts: Tensor | None = None) -> Tensor:
        """Views (n, ...) and classes (n,) to logits (n,)."""
        raise NotImplementedError


class Head(nn.Module):
    """Features to one logit, with a term for the class (Miyato & Koyama 2018, "cGANs with projection discriminator", eq. 3)."""

    def __init__(self, values: int, features: int, classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(values, 1)
        self.embedding = nn.Embedding(classes, features) if classes else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=features**-0.5)

    def forward(self, values: Tensor, features: Tensor, label: Tensor | None) -> Tensor:
        """(n, values), (n, features) and classes (n,) to (n,)."""
        logit = self.dense(values)[:, 0]
        if self.embedding is None or label is None:
            return logit
        return logit + (self.embedding(label) * features).sum(1)


class WaveformMember(Member):
    """Convolutions of kernel 25 and stride 4, with phase shuffle behind all but the last (Donahue et al. 2019, table 4)."""

    def __init__(self, samples: int, width: int = 64, *, classes: int = 0, shuffle: int = 2) -> None:
        super().__init__()
        first, count = layers_for(samples)
        widths = [1, *(width << i for i in range(count))]
        self.shuffle = shuffle
        self.layers = nn.ModuleList(nn.Conv1d(a, b, KERNEL, STRIDE, padding=11) for a, b in pairwise(widths))
        self.head = Head(widths[-1] * first, widths[-1], classes)

    def forward(self, view: Tensor, label: Tensor | None, shifts: Tensor | None = None) -> Tensor:
        """Waveforms (n, T) to logits (n,). ``shifts`` (n, layers) uniform in [0, 1) draw the phase shuffle; None: no shuffle."""
        x = view[:, None]
        for i, layer in enumerate(self.layers):
            x = F.leaky_relu(layer(x), _SLOPE)
            if shifts is not None and self.shuffle and i < len(self.layers) - 1:
                x = phase_shuffle(x, shuffle_of(shifts[:, i], self.shuffle))
        return self.head(x.flatten(1), x.mean(2), label)


def shuffle_of(uniform: Tensor, most: int) -> Tensor:
    """Uniform numbers (n,) in [0, 1) to whole shifts (n,) in [-most, most], all equally often."""
    return (uniform * (2 * most + 1)).floor().long().clamp(max=2 * most) - most


def phase_shuffle(x: Tensor, shift: Tensor) -> Tensor:
    """(n, C, T) later by ``shift`` (n,) samples, mirrored at the ends (Donahue et al. 2019, section 3.3).

    The paper's code shifts all sounds of a batch by one number; here each sound has its own, so that processes agree.
    """
    last = x.shape[2] - 1
    place = torch.arange(x.shape[2], device=x.device) - shift[:, None]  # (n, T)
    mirrored = last - (place.remainder(2 * last) - last).abs()
    return x.gather(2, mirrored[:, None].expand(x.shape))


class PictureMember(Member):
    """A picture of bands and frames through four convolutions of 5x5 that shrink it; one logit for the whole."""

    def __init__(self, shape: tuple[int, int], width: int = 16, *, classes: int = 0) -> None:
        """``shape``: bands and frames. A side that is at least twice as long as the other shrinks twice as fast."""
        super().__init__()
        height, length = shape
        layers: list[nn.Module] = []
        inputs = 1
        for i in range(4):
            strides = 4 if height >= 2 * length else 2, 4 if length >= 2 * height else 2
            layers.append(nn.Conv2d(inputs, width << i, 5, strides, 2))
            inputs, height, length = width << i, -(-height // strides[0]), -(-length // strides[1])
        self.layers = nn.ModuleList(layers)
        self.dense = nn.Linear(inputs * height * length, inputs)
        self.head = Head(inputs, inputs, classes)

    def forward(self, view: Tensor, label: Tensor | None, shifts: Tensor | None = None) -> Tensor:
        """Pictures (n, bands, frames) to logits (n,)."""
        x = view[:, None]
        for layer in self.layers:
            x = F.leaky_relu(layer(x), _SLOPE)
        x = F.leaky_relu(self.dense(x.flatten(1)), _SLOPE)
        return self.head(x, x, label)


class SpectralMember(PictureMember):
    """Log magnitudes of a short-time Fourier transform with a hop of a quarter of its size."""

    def __init__(self, n_fft: int, samples: int, width: int = 16, *, classes: int = 0) -> None:
        super().__init__((n_fft // 2, samples * 4 // n_fft), width, classes=classes)
        self.n_fft = n_fft

    def view(self, sound: Tensor) -> Tensor:
        """(n, T) to (n, n_fft / 2, 4 T / n_fft): all bins but 0 Hz, with silence before and behind the sound."""
        with full_precision(sound.device):
            x, hop = wide(sound), self.n_fft // 4
            pad = (self.n_fft - hop) // 2
            window = torch.hann_window(self.n_fft, dtype=x.dtype, device=x.device)
            x = F.pad(x, (pad, self.n_fft - hop - pad))
            spectrum = torch.stft(x, self.n_fft, hop, self.n_fft, window, center=False, return_complex=True)[:, 1:]
            power = spectrum.real.square() + spectrum.imag.square() + _FLOOR**2
            return power.log() / (2 * _SPREAD)


class MelMember(PictureMember):
    """Log-mels, as they are made."""

    def __init__(
        self, shape: tuple[int, int], scale: tuple[float, float], width: int = 16, *, classes: int = 0
    ) -> None:
        """``scale``: mean and deviation that are taken out of log-mels."""
        super().__init__(shape, width, classes=classes)
        self.scale = scale

    def view(self, sound: Tensor) -> Tensor:
        """Log-mels (n, n_mels, F), scaled."""
        return (wide(sound) - self.scale[0]) / self.scale[1]


class ShotDiscriminator(nn.Module):
    """Members side by side, each with its own view."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        super().__init__()
        self.members = nn.ModuleDict(members)

    @property
    def shuffles(self) -> int:
        """Random numbers a sound that the phase shuffle takes."""
        counts = [len(m.layers) for m in self.members.values() if isinstance(m, WaveformMember) and m.shuffle]
        return max(counts, default=0)

    def views(self, sound: Tensor) -> list[Tensor]:
        """What each member sees of sounds: waveforms (n, T), or log-mels (n, n_mels, F)."""
        return [member.view(sound) for member in self._members()]

    def logits(self, views: Sequence[Tensor], label: Tensor | None, shifts: Tensor | None = None) -> list[Tensor]:
        """The logits (n,) of each member."""
        return [member(view, label, shifts) for member, view in zip(self._members(), views, strict=True)]

    def forward(self, sound: Tensor, label: Tensor | None = None, shifts: Tensor | None = None) -> Tensor:
        """Sounds to logits (members, n)."""
        return torch.stack(self.logits(self.views(sound), label, shifts))

    def _members(self) -> list[Member]:
        return [member for member in self.members.values() if isinstance(member, Member)]
