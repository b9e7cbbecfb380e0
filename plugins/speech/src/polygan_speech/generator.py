"""What is saved of a model that speaks: its network, and the numbers that mels and pitches are normalised with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .facts import tensor_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class Generator(nn.Module):
    """A network of normalised mels, with the mean and deviation of each band, and of ln Hz of each speaker."""

    mel_mean: Tensor
    mel_deviation: Tensor
    pitch_mean: Tensor
    pitch_deviation: Tensor

    def __init__(self, network: nn.Module, n_mels: int, speakers: int, info: Mapping[str, Any]) -> None:
        """``info``: the facts of the training split (`facts.sound_facts`); without them mels stay as they are."""
        super().__init__()
        self.network = network
        for name, size, default in (("mel", n_mels, (0.0, 1.0)), ("pitch", max(1, speakers), (5.0, 0.25))):
            for kind, value in zip(("mean", "deviation"), default, strict=True):
                self.register_buffer(f"{name}_{kind}", tensor_of(info, f"{name}_{kind}", size, value))

    def forward(self, *given: Any, **named: Any) -> Any:
        """What the network says."""
        return self.network(*given, **named)

    def normalised(self, mel: Tensor) -> Tensor:
        """Log-mels (B, n_mels, F) with mean 0 and deviation 1 in each band."""
        return (mel - self.mel_mean[:, None]) / self.mel_deviation[:, None]

    def mel(self, normalised: Tensor) -> Tensor:
        """The way back from `normalised`."""
        return normalised * self.mel_deviation[:, None] + self.mel_mean[:, None]

    def relative_pitch(self, pitch: Tensor, speaker: Tensor | None) -> Tensor:
        """ln Hz (B, F) less the mean of the speaker (B,), over the deviation; None: there is one speaker."""
        rows = torch.zeros_like(pitch[:, 0], dtype=torch.int64) if speaker is None else speaker
        return (pitch - self.pitch_mean[rows][:, None]) / self.pitch_deviation[rows][:, None]
