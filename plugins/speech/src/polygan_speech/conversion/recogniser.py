"""A small recogniser of characters, trained on the run's own transcripts: it tells whether a conversion keeps what is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from polygan_audio.networks.convolutions import full_precision

from .blocks import Block, SpeakerNorm, begin, planar
from .envelope import Envelope

if TYPE_CHECKING:
    from polygan_audio.networks.melspec import MelSpec

    from .envelope import Perturbation
    from .voices import Voices

_FIRST = 5  # frames of the first convolution, which halves the frame rate


class Recogniser(nn.Module):
    """Log-mel (B, n_mels, F) to logits of symbols at half the frame rate, symbol 0 the blank of CTC (Graves et al. 2006).

    It sees envelopes only: the pitch says little of what is said, and differs between speakers.
    """

    def __init__(self, spec: MelSpec, voices: Voices, symbols: int, dim: int, blocks: int) -> None:
        super().__init__()
        self.envelope = Envelope(spec, *voices.together)
        self.embed = nn.Conv2d(spec.n_mels, dim, (1, _FIRST), (1, 2), padding=(0, _FIRST // 2))
        self.norm = SpeakerNorm(dim, 1)
        self.blocks = nn.ModuleList(Block(dim, 3 * dim, 1 / blocks) for _ in range(blocks))
        self.final_norm = SpeakerNorm(dim, 1)
        self.head = nn.Linear(dim, symbols)
        begin(self.modules())

    @staticmethod
    def steps(frames: Tensor) -> Tensor:
        """Steps of the logits of clips of so many frames."""
        return (frames + 1) // 2

    def forward(
        self,
        mel: Tensor,
        frames: Tensor | None = None,
        kept: Tensor | None = None,
        perturbation: Perturbation | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Features (B, S, dim) and logits (B, S, symbols), S = (F + 1) // 2.

        ``frames`` (B,): what lies behind so many frames is not seen, so that a padded clip is heard as it is alone.
        ``kept`` (B, F) is 0 in frames that are hidden.
        """
        with full_precision(mel.device):
            x = self.envelope(mel, perturbation)
            x = x if kept is None else x * kept[:, None].to(x.dtype)
            x = x if frames is None else x * _inside(frames, x.shape[2], x)[:, None]
        x = self.embed(planar(x.to(self.embed.weight.dtype)))
        mask = None if frames is None else _inside(self.steps(frames), x.shape[3], x)[:, None, None]
        x = self.norm(x.permute(0, 2, 3, 1), None).permute(0, 3, 1, 2)
        for block in self.blocks:
            x = block(x if mask is None else x * mask)
        features = self.final_norm(x.permute(0, 2, 3, 1), None)[:, 0]  # (B, S, dim)
        return features, self.head(features)


def _inside(lengths: Tensor, size: int, like: Tensor) -> Tensor:
    """(B, size) of 1 within each length and 0 behind."""
    return (torch.arange(size, device=lengths.device) < lengths[:, None]).to(like.dtype)
