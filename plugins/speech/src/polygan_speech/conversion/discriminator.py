"""The discriminator of voice conversion: whether a stretch of log-mel is a real one of its speaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from .voices import Voices

_SLOPE = 0.2


class Discriminator(nn.Module):
    """Patches of 17 frames (PatchGAN on mels, as in StarGAN-VC2), with a head for each speaker.

    A patch is about a quarter of a second long: enough for a voice, too short for the words of a language.
    """

    mean: Tensor
    deviation: Tensor
    bands: Tensor

    def __init__(self, voices: Voices, width: int) -> None:
        """``width``: channels of the first map; deeper maps have 2 and 3 times as many."""
        super().__init__()
        mean, deviation = voices.together
        self.register_buffer("mean", mean[:, None].clone(), persistent=False)
        self.register_buffer("deviation", deviation[:, None].clone(), persistent=False)
        self.register_buffer("bands", torch.linspace(-1, 1, len(mean))[None, None, :, None], persistent=False)
        sizes = (2, width, 2 * width, 3 * width, 3 * width)
        strides = ((2, 1), (2, 2), (2, 2), (2, 1))
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, (5, 3), stride, padding=(2, 1))
            for a, b, stride in zip(sizes[:-1], sizes[1:], strides, strict=True)
        )
        self.head = nn.Conv2d(3 * width, len(voices.mel_mean), (3, 1), padding=(1, 0))

    def forward(self, mel: Tensor, label: Tensor) -> list[Tensor]:
        """Log-mels (B, n_mels, F) of speakers (B,) to the maps of all layers, and logits (B, bands, frames) last."""
        x = ((mel - self.mean) / self.deviation)[:, None].to(self.head.weight.dtype)
        x = torch.cat([x, self.bands.to(x.dtype).expand(len(x), -1, -1, x.shape[3])], 1)
        x, maps = x.contiguous(memory_format=torch.channels_last), []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), _SLOPE)
            maps.append(x)
        logits = self.head(x)  # (B, speakers, bands, frames)
        own = label[:, None, None, None].expand(-1, 1, *logits.shape[2:])
        return [*maps, logits.gather(1, own)[:, 0]]
