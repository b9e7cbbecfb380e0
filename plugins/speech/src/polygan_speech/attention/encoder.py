"""Text to what the decoder attends to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from polygan_audio.networks.convolutions import full_precision, wide

from .layers import blocks, through

if TYPE_CHECKING:
    from .shape import Shape


class Encoder(nn.Module):
    """Shen et al. 2018, section 2.2: convolutions, then an LSTM in each direction.

    Two LSTMs in place of one of two directions: a sentence is turned round within its length, so nothing is packed, no length
    is read, and a padded sentence comes out as the sentence alone does.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dropout = shape.encoder_dropout
        layers = shape.encoder_layers
        self.convolutions = blocks([shape.width] * (layers + 1), shape.encoder_kernel, ["relu"] * layers)
        self.ahead = nn.LSTM(shape.width, shape.width // 2, batch_first=True)
        self.back = nn.LSTM(shape.width, shape.width // 2, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor, mask: Tensor, masked: bool = True) -> Tensor:
        """(B, width, S) of embeddings to (B, S, width), zeros behind each sentence.

        ``lengths`` (B,), ``mask`` (B, 1, S). Without ``masked`` the convolutions see what lies behind a sentence, as NVIDIA's do.
        """
        rate = self.dropout if self.training else 0.0
        x = through(self.convolutions, x, mask if masked else None, [torch.relu] * len(self.convolutions), rate)
        x = x.transpose(1, 2)  # (B, S, width)
        place = torch.arange(x.shape[1], device=x.device)
        turned = torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)[..., None]  # (B, S, 1)
        with full_precision(x.device):
            x = wide(x)
            ahead, _ = self.ahead(x)
            back, _ = self.back(x.gather(1, turned.expand_as(x)))
            back = back.gather(1, turned.expand_as(back))
            return torch.cat([ahead, back], 2) * mask.transpose(1, 2)
