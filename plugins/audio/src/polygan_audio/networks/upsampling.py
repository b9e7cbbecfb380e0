"""Parallel WaveGAN's way from frames to samples, and the same way as a table that every feature shares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .wavenet import convolution, weight_normed

if TYPE_CHECKING:
    from collections.abc import Sequence


class UpsampleNetwork(nn.Module):
    """A convolution over the mel, which sees ``window`` frames on each side, and the way to samples."""

    def __init__(self, bands: int, scales: Sequence[int], window: int, *, causal: bool = False) -> None:
        """``causal``: the convolution sees ``window`` frames before, and none after."""
        super().__init__()
        self.unseen = window if causal else 0
        self.conv_in = convolution(bands, bands, window + 1 if causal else 2 * window + 1, bias=False)
        self.upsample = Upsampling(scales, causal=causal)

    def forward(self, heard: Tensor) -> Tensor:
        """(B, bands, F + 2 window) to (B, bands, F), which `upsample` takes to samples."""
        found = F.conv1d(heard, self.conv_in.weight)
        return found[:, :, : -self.unseen] if self.unseen else found


class Upsampling(nn.Module):
    """Repeats frames and smooths them, one stage a scale (Yamamoto et al. 2020, section 3.3, and the reference implementation).

    A stage is linear, has no bias, and treats all features alike. The whole is therefore one small table: the weight of each
    frame around a sample. A dense layer that follows gives the same where it comes first, at the rate of frames.
    """

    def __init__(self, scales: Sequence[int], *, causal: bool = False) -> None:
        """``scales``: factors whose product is the hop length; ``causal``: no stage looks ahead."""
        super().__init__()
        self.scales, self.causal = tuple(scales), causal
        self.hop = math.prod(scales)
        self.up_layers = nn.ModuleDict()
        for i, scale in enumerate(scales):
            conv = nn.Conv2d(1, 1, (1, 2 * scale + 1), bias=False)
            nn.init.constant_(conv.weight, 1 / (2 * scale + 1))
            self.up_layers[str(2 * i + 1)] = weight_normed(conv)
        first, last = self.span(0, self.hop - 1)
        self.before, self.after = -first, last
        """Frames before and after a frame that its samples depend on."""

    def span(self, first: int, last: int) -> tuple[int, int]:
        """The first and the last frame that samples ``first`` to ``last`` depend on."""
        for scale in reversed(self.scales):
            first = (first - (2 * scale if self.causal else scale)) // scale
            last = (last + (0 if self.causal else scale)) // scale
        return first, last

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, F) to (B, C, F * hop)."""
        x = features[:, None]
        for scale, kernel in zip(self.scales, self._kernels(), strict=True):
            x = F.interpolate(x, scale_factor=(1.0, float(scale)), mode="nearest")
            x = F.conv2d(F.pad(x, (2 * scale, 0) if self.causal else (scale, scale)), kernel)
        return x[:, 0]

    def _kernels(self) -> list[Tensor]:
        return [cast("nn.Conv2d", conv).weight for conv in self.up_layers.values()]

    @property
    def reach(self) -> int:
        """Frames that a sample depends on."""
        return self.before + 1 + self.after

    def table(self, frames: int) -> Tensor:
        """(rows, hop, reach) weights of the frames around a frame for its samples; `places` gives the row of each frame.

        Stages are padded with zeros, so that frames near the ends have rows of their own.
        """
        rows = min(frames, self.reach)
        like = self._kernels()[0]
        single = torch.eye(rows, dtype=like.dtype, device=like.device)
        weights = self(single[None])[0].unflatten(1, (rows, self.hop))  # (frame that gives, frame that takes, hop)
        around = F.pad(weights, (0, 0, 0, 0, self.before, self.after)).unfold(0, self.reach, 1)
        return around.diagonal(dim1=0, dim2=1).permute(2, 0, 1)

    def places(self, frames: int, device: torch.device | str = "cpu") -> Tensor:
        """(frames,) int64, rows of `table`."""
        places = torch.arange(frames, device=device)
        if frames <= self.reach:
            return places
        return torch.minimum(places, torch.clamp(places - (frames - self.reach), min=self.before))
