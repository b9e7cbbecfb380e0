"""Parallel WaveGAN's networks (Yamamoto et al. 2020, section 3.3). Parameters have the names of the reference implementation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import ConfigError

from .convolutions import full_precision, wide
from .excitation import GriffinLim
from .frontend import FrontEnd
from .griffinlim import FEW_UPDATES
from .upsampling import UpsampleNetwork
from .wavenet import Layer, bias_of, convolution, dilated, doubled, pointwise, sum_of_skips

if TYPE_CHECKING:
    from .discriminators import Features
    from .melspec import MelSpec

SLOPE = 0.2
_LAYERS = 10  # of the discriminator
_DOUBLINGS = 16  # of dilations at most, to 2 s at 16 kHz


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of the generator; the defaults are the paper's."""

    layers: int = 30
    stacks: int = 3
    """Groups of layers, in each of which dilations double from 1 on."""
    channels: int = 64
    gates: int = 128
    """Channels that the dilated convolutions make, half of them gates."""
    skips: int = 64
    size: int = 3
    """Of the dilated kernels."""
    scales: tuple[int, ...] = (4, 4, 4, 4)
    """Of the upsampling; their product is the hop length."""
    window: int = 2
    """Frames on each side that the first convolution over the mel sees."""
    causal: bool = False
    """No sample depends on later excitation; the mel is heard up to the frame of the sample."""

    def __post_init__(self) -> None:
        if self.layers % self.stacks:
            raise ConfigError(
                f"parallel-wavegan: {self.layers} layers do not make {self.stacks} equal stacks; use a multiple of {self.stacks}"
            )
        if self.layers // self.stacks > _DOUBLINGS:
            raise ConfigError(
                f"parallel-wavegan: dilations double in each of the {self.layers // self.stacks} layers of a stack, which is too far; "
                f"use more stacks, at least {-(-self.layers // _DOUBLINGS)}"
            )
        if self.gates % 2:
            raise ConfigError(f"parallel-wavegan: {self.gates} gate channels have no half; use an even number")
        if not self.size % 2:
            raise ConfigError(f"parallel-wavegan: kernels of {self.size} have no middle; use an odd size")

    @property
    def dilations(self) -> tuple[int, ...]:
        """Of all layers."""
        each = self.layers // self.stacks
        return tuple(2 ** (i % each) for i in range(self.layers))

    @property
    def seen(self) -> int:
        """Samples of excitation that a sample depends on; the paper's has 6,139."""
        return (self.size - 1) * sum(self.dilations) + 1


class Generator(FrontEnd):
    """Log-mel (B, n_mels, F) and excitation (B, F * hop_length) to waveform (B, F * hop_length).

    The mel is normalised by the buffers ``mean`` and ``scale`` (n_mels,) first. With a Griffin-Lim excitation, the network's result
    is added to the excitation, and an untrained network leaves the excitation as it is.
    """

    mean: Tensor
    scale: Tensor
    chunk = 16

    def __init__(self, shape: Shape, mel: MelSpec, *, iterations: int = 0, updates: int = FEW_UPDATES) -> None:
        """``iterations`` and ``updates``: of the Griffin-Lim excitation; no iterations: the excitation is noise. ConfigError where scales give no hop."""
        super().__init__(mel)
        if math.prod(shape.scales) != mel.hop_length:
            raise ConfigError(
                f"parallel-wavegan: the upsampling scales {' x '.join(map(str, shape.scales))} = {math.prod(shape.scales)} do not "
                f"give the {mel.hop_length} samples of a hop; change the scales or the hop length"
            )
        self.shape = shape
        self.register_buffer("mean", torch.zeros(mel.n_mels))
        self.register_buffer("scale", torch.ones(mel.n_mels))
        self.iterations = iterations
        self.griffin_lim = GriffinLim(mel, iterations, updates) if iterations else None
        self.first_conv = convolution(1, shape.channels)
        self.upsample_net = UpsampleNetwork(mel.n_mels, shape.scales, shape.window, causal=shape.causal)
        sizes = shape.channels, shape.gates, shape.skips, mel.n_mels, shape.size
        self.conv_layers = nn.ModuleList(Layer(*sizes, dilation, causal=shape.causal) for dilation in shape.dilations)
        first, last = convolution(shape.skips, shape.skips), convolution(shape.skips, 1)
        self.last_conv_layers = nn.ModuleDict({"1": first, "3": last})
        if iterations:
            nn.init.zeros_(cast("Tensor", last.get_parameter("parametrizations.weight.original0")))

    @property
    def layers(self) -> list[Layer]:
        """The dilated layers in order."""
        return [cast("Layer", layer) for layer in self.conv_layers]

    def forward(self, mel: Tensor, excitation: Tensor | None = None, *, padded: bool = False) -> Tensor:
        """(B, n_mels, F) to (B, F * hop_length).

        ``padded``: the mel has ``shape.window`` frames more on each side, in place of its first and last frame repeated.
        ``excitation``: None for the Griffin-Lim waveform of the mel, or noise of torch's generator.
        """
        window, hop = self.shape.window, self.mel.hop_length
        if excitation is None:
            excitation = self.excite(mel)
            if padded:
                excitation = excitation[:, window * hop : (mel.shape[2] - window) * hop]
        heard = self.normalised(mel)
        heard = heard if padded else F.pad(heard, (window, window), mode="replicate")
        made = self._sound(self.upsample_net(heard), excitation)
        return made + excitation if self.griffin_lim is not None else made

    def excite(self, mel: Tensor) -> Tensor:
        """(B, F * hop_length) for a mel (B, n_mels, F): the Griffin-Lim waveform, or noise of torch's generator."""
        if self.griffin_lim is not None:
            return self.griffin_lim(mel)
        return torch.randn(len(mel), mel.shape[2] * self.mel.hop_length, dtype=mel.dtype, device=mel.device)

    def normalised(self, mel: Tensor) -> Tensor:
        """(..., n_mels, F) without the mean of each band, divided by its scale."""
        return (mel.to(self.mean.dtype) - self.mean[:, None]) / self.scale[:, None]

    def _sound(self, frames: Tensor, excitation: Tensor) -> Tensor:
        """What is upsampled, and the excitation, to the network's result (B, F * hop_length)."""
        features, table = self._features(frames)
        first = pointwise(self.first_conv)[:, 0]
        x = torch.addcmul(bias_of(self.first_conv), excitation.to(first.dtype)[:, :, None], first)  # (B, T, channels)
        total = sum_of_skips(self.layers, x, table, features)
        with full_precision(x.device):
            return self.head(wide(total))

    def _features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """What the mel adds to the gates of all layers, `doubled`, as two factors of a product for each frame.

        (layers, B * F, reach + 1, gates), the last row the biases; and (B * F, hop_length, reach + 1), the last column ones.
        """
        upsample, (batch, _, count) = self.upsample_net.upsample, frames.shape
        weight = torch.cat([doubled(pointwise(layer.conv1x1_aux)) for layer in self.layers])
        bias = torch.stack([doubled(bias_of(layer.conv)) for layer in self.layers])
        own = frames.transpose(1, 2) @ weight.t()  # (B, F, layers * gates)
        around = F.pad(own, (0, 0, upsample.before, upsample.after)).unfold(1, upsample.reach, 1)
        around = around.flatten(0, 1).unflatten(1, (len(self.layers), -1)).permute(1, 0, 3, 2)
        features = torch.cat([around, bias[:, None, None].expand(-1, batch * count, -1, -1)], 2)
        table = upsample.table(count)[upsample.places(count, frames.device)]
        table = torch.cat([table, torch.ones_like(table[..., :1])], -1)
        return features, table.expand(batch, -1, -1, -1).reshape(batch * count, self.mel.hop_length, -1)

    def head(self, total: Tensor) -> Tensor:
        """The sum of skips (..., T, skips) to waveforms (..., T)."""
        first, last = (cast("nn.Conv1d", layer) for layer in self.last_conv_layers.values())
        x = F.relu(total * math.sqrt(1 / self.shape.layers))
        x = F.relu(F.linear(x, pointwise(first).to(x), bias_of(first).to(x)))
        return F.linear(x, pointwise(last).to(x), bias_of(last).to(x))[..., 0]

    def context(self) -> int:
        """Frames on each side of a frame that its samples depend on."""
        shape, hop = self.shape, self.mel.hop_length
        before = (shape.seen - 1) // (1 if shape.causal else 2)
        after = 0 if shape.causal else before
        first = (shape.size - 1) // (1 if shape.causal else 2)
        # The mel comes in behind the convolution of a layer, so that the first one's does not widen what is heard.
        low, high = self.upsample_net.upsample.span(first - before, hop - 1 + max(0, after - first))
        heard = max(shape.window - low, high + (0 if shape.causal else shape.window))
        if self.griffin_lim is None:
            return heard
        return max(heard, self.griffin_lim.context() + max(-(-before // hop), (hop - 1 + after) // hop))


class Discriminator(nn.Module):
    """Waveforms (B, T) to logits (B, T), beside what each layer before found (Yamamoto et al. 2020, section 3.3)."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleDict()
        dilations = [1, *range(1, _LAYERS - 1), 1]
        for i, dilation in enumerate(dilations):
            inputs, outputs = (1 if i == 0 else channels), (1 if i == _LAYERS - 1 else channels)
            self.conv_layers[str(2 * i)] = convolution(inputs, outputs, 3, dilation=dilation)

    def forward(self, waveform: Tensor) -> Features:
        """One member: the results (B, T, channels) of nine layers, and the logits (B, T, 1)."""
        x, found = waveform[:, :, None], []
        for i, layer in enumerate(self.conv_layers.values()):
            conv = cast("nn.Conv1d", layer)
            x = dilated(x, conv.weight, bias_of(conv), conv.dilation[0])
            if i < _LAYERS - 1:
                x = F.leaky_relu_(x, SLOPE)
            found.append(x)
        return [found]
