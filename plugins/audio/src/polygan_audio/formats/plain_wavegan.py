"""Parallel WaveGAN's generator in plain one-dimensional convolutions, as other runtimes know them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..networks.wavenet import HALF

if TYPE_CHECKING:
    from ..networks.parallel_wavegan import Generator
    from ..networks.wavenet import Layer


class PlainWaveGAN(nn.Module):
    """A generator whose mel is brought to the rate of samples before each layer mixes its bands. The same to within rounding."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, mel: Tensor, noise: Tensor | None = None) -> Tensor:
        """(B, n_mels, F), and noise (B, F * hop_length) where the excitation is noise, to (B, F * hop_length)."""
        network = self.generator
        excitation = network.excite(mel) if noise is None else noise
        window = network.shape.window
        heard = F.pad(network.normalised(mel), (window, window), mode="replicate")
        features = network.upsample_net.upsample(network.upsample_net(heard))  # (B, n_mels, F * hop_length)
        x, total = network.first_conv(excitation[:, None]), None
        for layer in network.layers:
            x, skip = self._layer(layer, x, features)
            total = skip if total is None else total + skip
        assert total is not None
        first, last = (cast("nn.Conv1d", conv) for conv in network.last_conv_layers.values())
        made = last(F.relu(first(F.relu(total * math.sqrt(1 / network.shape.layers)))))[:, 0]
        return made + excitation if network.griffin_lim is not None else made

    def _layer(self, layer: Layer, x: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        around = layer.dilation * (layer.conv.kernel_size[0] - 1)
        padding = (around, 0) if layer.causal else (around // 2, around // 2)
        gates = layer.conv(F.pad(x, padding)) + layer.conv1x1_aux(features)
        a, b = gates.chunk(2, 1)
        z = torch.tanh(a) * torch.sigmoid(b)
        return (layer.conv1x1_out(z) + x) * HALF, layer.conv1x1_skip(z)
