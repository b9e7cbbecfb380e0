"""Vocos' generator (Siuzdak 2023): ConvNeXt blocks at the frame rate, then an inverse STFT."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .convolutions import doubled, full_precision, wide
from .frontend import FrontEnd
from .griffinlim import FEW_UPDATES, nearer, phases
from .stft import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from .melspec import MelSpec

_SIZE = 7  # of the convolutions along time, in frames
_LOUDEST = 100.0  # magnitude that a bin may have
_QUIETEST = 1e-5  # magnitude that a prior gives
_UNSURE = 3.0  # largest |ln| of a ratio that the network sees


class Block(nn.Module):
    """Depthwise convolution, norm, two dense layers, scaled and added (Liu et al. 2022, figure 4)."""

    def __init__(self, dim: int, hidden: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, (1, _SIZE), padding=(0, _SIZE // 2), groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.widen, self.narrow = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.scale = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 1, F) in channels_last, in which channels lie beside each other for the dense layers."""
        y = self.depthwise(x).permute(0, 2, 3, 1)  # (B, 1, F, C)
        y = self.narrow(F.gelu(self.widen(self.norm(y)))) * self.scale
        return x + y.permute(0, 3, 1, 2)


class Generator(FrontEnd):
    """Log-mel (B, n_mels, F) to waveform (B, F * hop_length)."""

    prior: Tensor | None
    filters: Tensor
    chunk = 1024  # at the frame rate memory is no concern, and less of it is context

    def __init__(
        self,
        mel: MelSpec,
        dim: int,
        hidden: int,
        blocks: int,
        *,
        prior: Literal["griffin-lim", "pseudo-inverse", "none"] = "pseudo-inverse",
        iterations: int = 32,
        updates: int = FEW_UPDATES,
    ) -> None:
        """``prior``: what the network corrects. ``griffin-lim``: magnitudes after ``updates``, and phases that ``iterations`` find;
        ``pseudo-inverse``: magnitudes, that of the mel filters; ``none``: nothing."""
        super().__init__(mel)
        self.register_buffer("prior", None if prior == "none" else torch.linalg.pinv(mel.filters().double()).float())
        self.iterations = iterations if prior == "griffin-lim" else 0
        self.updates = updates
        # An ONNX file has loops of matrices in their place.
        self.make_frames: Callable[[MelSpec, Tensor], Frames] = Frames
        self.nearer: Callable[[Tensor, Tensor, Tensor, int], Tensor] = nearer
        self.phases: Callable[[Frames, Tensor, int], tuple[Tensor, Tensor]] = phases
        if self.iterations:
            self.register_buffer("filters", mel.filters())
            self.start = nn.Linear(5 * (mel.n_fft // 2 + 1), dim)
        self.embed = nn.Conv2d(mel.n_mels, dim, (1, _SIZE), padding=(0, _SIZE // 2))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.blocks = nn.ModuleList(Block(dim, hidden, 1 / blocks) for _ in range(blocks))
        self.final_norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, mel.n_fft + 2)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        if self.iterations:
            nn.init.zeros_(self.head.weight)  # the untrained network is its prior: exactly what the iterations found

    def forward(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to (B, F * hop_length)."""
        spectra = self.spectra(mel)
        with full_precision(mel.device):
            sound = self.make_frames(self.mel, spectra[..., 0]).synthesise(spectra).flatten(1)
            return sound[:, self.mel.pad : self.mel.pad + mel.shape[2] * self.mel.hop_length]

    def spectra(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to the real and imaginary parts of spectra, (B, F, n_fft / 2 + 1, 2)."""
        x = mel[:, :, None].to(self.embed.weight.dtype).contiguous(memory_format=torch.channels_last)
        x = self.embed(x).permute(0, 2, 3, 1)  # (B, 1, F, C)
        magnitude = unit = seen = None
        with full_precision(mel.device):
            if self.iterations:
                magnitude, unit, seen = self._griffin_lim(wide(mel))
            elif self.prior is not None:
                magnitude = self._inverted(wide(mel))
        if seen is not None:
            x = x + self.start(seen.to(x.dtype))[:, None]
        x = self.norm(x).permute(0, 3, 1, 2)
        for block in self.blocks:
            x = block(x)
        x = self.head(self.final_norm(x.permute(0, 2, 3, 1)))[:, 0]  # (B, F, n_fft + 2)
        with full_precision(mel.device):
            factor, phase = wide(x).chunk(2, dim=-1)
            loud = (factor if magnitude is None else factor + magnitude.log()).exp().clamp(max=_LOUDEST)
            found = torch.stack([loud * phase.cos(), loud * phase.sin()], -1)
            return found if unit is None else _product(found, unit)

    def _bands(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to linear bands (B, F, n_mels)."""
        return (mel.exp() if self.mel.log == "ln" else 10**mel).transpose(1, 2)

    def _inverted(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to magnitudes max(|M+ bands|, 1e-5), (B, F, n_fft / 2 + 1), M+ the filters' pseudo-inverse (Lv et al. 2024)."""
        assert self.prior is not None
        bands = self._bands(mel)
        return (bands @ self.prior.to(bands.dtype).T).abs().clamp(min=_QUIETEST)

    @torch.no_grad()
    def _griffin_lim(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the fast Griffin-Lim algorithm (Perraudin et al. 2013) finds.

        Deep Griffin-Lim iteration (Masuyama et al. 2019, arXiv:1903.03971) with one correction, by the network, after all of them.
        Returns magnitudes (B, F, bins), unit phases (B, F, bins, 2), and what tells how far to trust them (B, F, 5 bins): the
        logarithm of the factor by which magnitudes change in going to sound and back, and the advance of phases from bin to
        bin and, less that of a bin's own frequency, from frame to frame.

        Small differences, those of rounding among them, grow by a factor of ten thousand and more. Outside of training it is
        therefore done in float64: the same mel, alone, in a batch or as a piece of a longer one, gives the same sound.
        """
        dtype = mel.dtype
        mel = mel if self.training else doubled(mel)
        magnitude, bands = (x.transpose(1, 2) for x in (self._inverted(mel), self._bands(mel)))
        magnitude = self.nearer(magnitude, bands, self.filters.to(mel.dtype), self.updates).transpose(1, 2)
        magnitude = magnitude.contiguous().clamp(min=_QUIETEST)
        frames = self.make_frames(self.mel, magnitude)
        spectra, found = self.phases(frames, magnitude, self.iterations)
        unit = (spectra / magnitude[..., None]).to(dtype)
        found, magnitude = found.to(dtype), magnitude.to(dtype)
        kept = (0.5 * found.square().sum(-1).clamp(min=_QUIETEST**2).log() - magnitude.log()).clamp(-_UNSURE, _UNSURE)
        back = unit * unit.new_tensor([1.0, -1.0])
        across = _product(unit, F.pad(back[:, :, :-1], (0, 0, 1, 0)))
        along = _product(unit, F.pad(back[:, :-1], (0, 0, 0, 0, 1, 0)))
        bins = torch.arange(magnitude.shape[2], dtype=mel.dtype, device=mel.device)
        angle = 2 * math.pi * self.mel.hop_length / self.mel.n_fft * bins
        along = _product(along, torch.stack([angle.cos(), -angle.sin()], -1).to(dtype))
        return magnitude, unit, torch.cat([kept, across.flatten(2), along.flatten(2)], 2)

    def context(self) -> int:
        """Frames on each side of a frame that its samples depend on."""
        mel = self.mel
        before = (mel.n_fft - 1 - mel.pad) // mel.hop_length
        after = (mel.hop_length - 1 + mel.pad) // mel.hop_length
        overlapping = (mel.n_fft - 1) // mel.hop_length  # on each side of a frame, in an iteration
        seen = self.iterations * overlapping + bool(self.iterations)  # and the advance from the frame before
        return len(self.blocks) * (_SIZE // 2) + max(_SIZE // 2, seen) + max(before, after)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Of complex numbers as parts (..., 2)."""
    (x, y), (u, v) = a.unbind(-1), b.unbind(-1)
    return torch.stack([x * u - y * v, x * v + y * u], -1)
