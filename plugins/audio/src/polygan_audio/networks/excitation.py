"""A Griffin-Lim waveform as the excitation of a vocoder, in place of noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from polygan import ConfigError

from .convolutions import doubled, full_precision, wide
from .frontend import FrontEnd
from .griffinlim import FEW_UPDATES, invertible, nearer, phases
from .stft import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from .melspec import MelSpec

_QUIETEST = 1e-5  # magnitude that the iterations are given at least


class GriffinLim(FrontEnd):
    """Log-mel (B, n_mels, F) to waveform (B, F * hop_length), without gradients, always the same for a mel.

    Magnitudes of the mel filters' pseudo-inverse, steps of `nearer`, and iterations of the fast Griffin-Lim algorithm
    (Perraudin et al. 2013). Outside of training they run in float64, so that a piece of a sound is the same as in the whole.
    """

    inverse: Tensor
    filters: Tensor
    chunk = 1024
    quietest: ClassVar[float] = _QUIETEST

    def __init__(self, mel: MelSpec, iterations: int, updates: int = FEW_UPDATES) -> None:
        """``updates``: steps of `nearer` before the iterations. ConfigError where hops do not overlap in windows."""
        super().__init__(mel)
        if not invertible(mel):
            raise ConfigError(
                f"model.excitation = griffin-lim: hops of {mel.hop_length} samples do not overlap in windows of {mel.win_length}; "
                "shorten the hops (--model.hop_length), or take --model.excitation noise"
            )
        self.iterations, self.updates = iterations, updates
        # An ONNX file has loops of matrices in their place.
        self.make_frames: Callable[[MelSpec, Tensor], Frames] = Frames
        self.nearer: Callable[[Tensor, Tensor, Tensor, int], Tensor] = nearer
        self.phases: Callable[[Frames, Tensor, int], tuple[Tensor, Tensor]] = phases
        filters = mel.filters()
        # The front end gives both again: checkpoints need not hold them.
        self.inverse = nn.Buffer(torch.linalg.pinv(filters.double()).float(), persistent=False)
        self.filters = nn.Buffer(filters.clone(), persistent=False)

    @torch.no_grad()
    def forward(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to (B, F * hop_length) in the dtype of the mel, float32 at least."""
        spec, dtype = self.mel, wide(mel).dtype
        with full_precision(mel.device):
            mel = wide(mel) if self.training else doubled(mel)
            bands = mel.exp() if spec.log == "ln" else 10**mel
            magnitude = (self.inverse.to(bands.dtype) @ bands).abs().clamp(min=_QUIETEST)
            magnitude = self.nearer(magnitude, bands, self.filters.to(bands.dtype), self.updates).transpose(1, 2)
            magnitude = magnitude.contiguous().clamp(min=_QUIETEST)
            frames = self.make_frames(spec, magnitude)
            spectra, _ = self.phases(frames, magnitude, self.iterations)
            sound = frames.synthesise(spectra).flatten(1)
            return sound[:, spec.pad : spec.pad + mel.shape[2] * spec.hop_length].to(dtype)

    def context(self) -> int:
        """Frames on each side of a frame that its samples depend on."""
        mel = self.mel
        before = (mel.n_fft - 1 - mel.pad) // mel.hop_length
        after = (mel.hop_length - 1 + mel.pad) // mel.hop_length
        return self.iterations * ((mel.n_fft - 1) // mel.hop_length) + max(before, after)
