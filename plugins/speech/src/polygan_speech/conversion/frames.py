"""Mels of padded clips, and windows of their frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .pitch import pitch_of

if TYPE_CHECKING:
    from polygan import Batch, Noise
    from polygan_audio.networks.melspec import MelSpec


def log_mels(spec: MelSpec, waveform: Tensor) -> Tensor:
    """Log-mels (B, n_mels, F) of clips (B, T) with silence behind them; F is at least T // hop_length.

    Silence is put behind the longest clip too: a clip's frames do not depend on the clips beside it.
    """
    return spec(F.pad(waveform, (0, 2 * spec.n_fft)))


def frame_counts(spec: MelSpec, length: Tensor) -> Tensor:
    """Frames (B,) of clips of so many samples (B,), at least one."""
    return (length // spec.hop_length).clamp(min=1)


class Windows(NamedTuple):
    """Stretches of clips, all of one length."""

    mel: Tensor
    """Log-mel (B, n_mels, W)."""
    pitch: Tensor
    """Hz (B, W); 0: unvoiced."""
    label: Tensor
    """Speakers (B,)."""
    frames: Tensor
    """Which frames of the clips the windows are (B, W), int64."""
    clips: Tensor
    """Log-mel (B, n_mels, F) of the whole clips."""
    counts: Tensor
    """Frames (B,) of the clips."""


@torch.no_grad()
def windows(spec: MelSpec, batch: Batch, size: int, noise: Noise) -> Windows:
    """A window of ``size`` frames of each clip, from a random frame on. A clip shorter than the window is repeated."""
    waveform = batch["waveform"]
    frames = frame_counts(spec, batch["waveform_length"])
    room = (frames - size + 1).clamp(min=1)
    start = (noise.uniform(len(waveform)) * room).long()
    index = (start[:, None] + torch.arange(size, device=waveform.device)) % frames[:, None]  # (B, W)
    mel = log_mels(spec, waveform)
    cut = mel.gather(2, index[:, None].expand(-1, mel.shape[1], -1))
    return Windows(cut, pitch_of(waveform, spec, index), batch["label"], index, mel, frames)


def kept_frames(noise: Noise, frames: Tensor, size: int, most: float) -> Tensor:
    """(n, size) of 1, and 0 in one random stretch of each row: at most the share ``most`` of its ``frames`` (n,).

    The masks of MaskCycleGAN-VC (Kaneko et al. 2021, section 3.2).
    """
    first, second = noise.uniform(len(frames), 2).unbind(1)
    length = (first * most * frames).floor()
    start = (second * (frames - length)).floor()
    time = torch.arange(size, device=frames.device)
    inside = (time >= start[:, None]) & (time < (start + length)[:, None])
    return (~inside).to(first.dtype)
