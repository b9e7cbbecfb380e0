"""The short-time Fourier transform of a front end's frames, and its inverse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from .melspec import MelSpec


class Frames:
    """Transforms for a number of frames. Spectra are (B, F, n_fft / 2 + 1, 2), real and imaginary parts as ONNX, too, knows them.

    Sounds are in hops, (B, F + pieces, hop_length) for frames of ``pieces`` hops, and begin ``mel.pad`` samples before the first
    hop of a recording.
    """

    def __init__(self, mel: MelSpec, like: Tensor) -> None:
        """``like``: magnitudes (B, F, n_fft / 2 + 1) of the dtype and on the device of all that will come."""
        self.n_fft, self.hop, self.count = mel.n_fft, mel.hop_length, like.shape[1]
        self.pieces = -(-mel.n_fft // mel.hop_length)
        spare = mel.n_fft - mel.win_length
        window = torch.hann_window(mel.win_length, dtype=like.dtype, device=like.device)
        self.window = F.pad(window, (spare // 2, spare - spare // 2))
        self._buffers: tuple[Tensor, ...] | None = None
        weight = overlapped(self.window.square() * torch.ones_like(like[:1, :, :1]), self.n_fft, self.hop)
        self.weight = 1 / weight.clamp(min=1e-8)  # (1, F + pieces, hop_length)

    def synthesise(self, spectra: Tensor) -> Tensor:
        """The sound whose frames are nearest to spectra (Griffin & Lim 1984, eq. 6).

        Windowed frames are added where they lie and divided by the squared windows' sum.
        """
        return overlapped(self.to_samples(spectra) * self.window, self.n_fft, self.hop) * self.weight

    def analyse(self, sound: Tensor) -> Tensor:
        """A sound to its spectra."""
        return self.to_spectra(self.cut(sound) * self.window)

    def consistent(self, spectra: Tensor, out: Tensor) -> Tensor:
        """The spectra of the sound that is nearest to ``spectra``, in ``out``; without gradients.

        The same as `analyse` of `synthesise`, in memory that is kept between calls.
        """
        if self._buffers is None:
            b = spectra.shape[0]
            shapes = (b, self.count, self.n_fft), (b, self.count + self.pieces, self.hop)
            self._buffers = tuple(self.window.new_empty(shape) for shape in shapes)
        frames, sound = self._buffers
        torch.fft.irfft(torch.view_as_complex(spectra), self.n_fft, out=frames).mul_(self.window)
        self._add(frames, sound.zero_()).mul_(self.weight)
        torch.mul(self.cut(sound), self.window, out=frames)
        torch.fft.rfft(frames, out=torch.view_as_complex(out))
        return out

    def scale(self, spectra: Tensor, factor: Tensor) -> Tensor:
        """Spectra, in place, times a factor for each bin (B, F, n_fft / 2 + 1).

        One part after the other: a product that repeats the factor for both takes four times as long.
        """
        for part in spectra.unbind(-1):
            part.mul_(factor)
        return spectra

    def cut(self, sound: Tensor) -> Tensor:
        """A sound to its frames (B, F, n_fft)."""
        return sound.flatten(1).unfold(1, self.n_fft, self.hop)[:, : self.count]

    def to_samples(self, spectra: Tensor) -> Tensor:
        """Spectra to (B, F, n_fft)."""
        return torch.fft.irfft(torch.view_as_complex(spectra), self.n_fft)

    def to_spectra(self, frames: Tensor) -> Tensor:
        """(B, F, n_fft) to spectra."""
        return torch.view_as_real(torch.fft.rfft(frames))

    def _add(self, frames: Tensor, total: Tensor) -> Tensor:
        """The same, added to ``total`` in place."""
        for i in range(self.pieces):
            part = frames[:, :, i * self.hop : (i + 1) * self.hop]
            total[:, i : i + self.count, : part.shape[2]] += part
        return total


def overlapped(frames: Tensor, n_fft: int, hop: int) -> Tensor:
    """(B, F, n_fft), each frame a hop later than the one before, to their sum in hops, (B, F + pieces, hop_length)."""
    pieces = -(-n_fft // hop)
    parts = F.pad(frames, (0, pieces * hop - n_fft)).unflatten(2, (pieces, hop))
    total = F.pad(parts[:, :, 0], (0, 0, 0, pieces))
    for i in range(1, pieces):
        total = total + F.pad(parts[:, :, i], (0, 0, i, pieces - i))
    return total
