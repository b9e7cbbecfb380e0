"""Vocos' generator (Siuzdak 2023): ConvNeXt blocks at the frame rate, then an inverse STFT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .convolutions import full_precision, wide
from .frontend import FrontEnd

if TYPE_CHECKING:
    from .melspec import MelSpec

_SIZE = 7  # of the convolutions along time, in frames
_LOUDEST = 100.0  # magnitude that a bin may have
_QUIETEST = 1e-5  # magnitude of the pseudo-inverse


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
    chunk = 1024  # at the frame rate memory is no concern, and less of it is context

    def __init__(self, mel: MelSpec, dim: int, hidden: int, blocks: int, *, prior: bool = True) -> None:
        """``prior``: the network says by what factors magnitudes differ from those that the mel's pseudo-inverse gives."""
        super().__init__(mel)
        self.register_buffer("prior", torch.linalg.pinv(mel.filters().double()).float() if prior else None)
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

    def forward(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to (B, F * hop_length)."""
        magnitude, phase = self.spectrum(mel)
        with full_precision(mel.device):
            return self.inverse(torch.complex(magnitude * phase.cos(), magnitude * phase.sin()))

    def spectrum(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """(B, n_mels, F) to magnitudes and phases in radians, both (B, F, n_fft / 2 + 1)."""
        x = mel[:, :, None].to(self.embed.weight.dtype).contiguous(memory_format=torch.channels_last)
        x = self.norm(self.embed(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        for block in self.blocks:
            x = block(x)
        x = self.head(self.final_norm(x.permute(0, 2, 3, 1)))[:, 0]  # (B, F, n_fft + 2)
        with full_precision(mel.device):
            magnitude, phase = wide(x).chunk(2, dim=-1)
            if self.prior is not None:
                magnitude = magnitude + self._inverted(wide(mel)).log()
            return magnitude.exp().clamp(max=_LOUDEST), phase

    def _inverted(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to magnitudes max(|M+ bands|, 1e-5), (B, F, n_fft / 2 + 1), M+ the filters' pseudo-inverse (Lv et al. 2024)."""
        assert self.prior is not None
        bands = mel.exp() if self.mel.log == "ln" else 10**mel
        return (bands.transpose(1, 2) @ self.prior.to(bands.dtype).T).abs().clamp(min=_QUIETEST)

    def inverse(self, spectrum: Tensor) -> Tensor:
        """(B, F, n_fft / 2 + 1) complex to (B, F * hop_length): the inverse STFT of the front end's frames.

        Windowed frames are added where they lie and divided by the squared windows' sum (Griffin & Lim 1984, eq. 6).
        """
        mel = self.mel
        window = F.pad(
            torch.hann_window(mel.win_length, dtype=spectrum.real.dtype, device=spectrum.device), self._margins()
        )
        frames = torch.fft.irfft(spectrum, mel.n_fft) * window
        sound = self._overlap(frames)
        weight = self._overlap(window.square().expand(1, spectrum.shape[1], mel.n_fft))
        length = spectrum.shape[1] * mel.hop_length
        return (sound / weight.clamp(min=1e-8))[:, mel.pad : mel.pad + length]

    def _margins(self) -> tuple[int, int]:
        spare = self.mel.n_fft - self.mel.win_length
        return spare // 2, spare - spare // 2

    def _overlap(self, frames: Tensor) -> Tensor:
        """(B, F, n_fft), each frame a hop later than the one before, to their sum; long enough for F hops after the padding."""
        count, n_fft, hop = frames.shape[1], self.mel.n_fft, self.mel.hop_length
        pieces = -(-n_fft // hop)
        parts = F.pad(frames, (0, pieces * hop - n_fft)).unflatten(2, (pieces, hop))  # (B, F, pieces, hop)
        rows = count + pieces
        total = F.pad(parts[:, :, 0], (0, 0, 0, rows - count))
        for i in range(1, pieces):
            total = total + F.pad(parts[:, :, i], (0, 0, i, rows - count - i))
        return total.flatten(1)

    def context(self) -> int:
        """Frames on each side of a frame that its samples depend on."""
        mel = self.mel
        before = (mel.n_fft - 1 - mel.pad) // mel.hop_length
        after = (mel.hop_length - 1 + mel.pad) // mel.hop_length
        return (1 + len(self.blocks)) * (_SIZE // 2) + max(before, after)
