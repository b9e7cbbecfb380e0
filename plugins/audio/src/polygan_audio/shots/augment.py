"""Augmentation of sounds before the discriminator, which then cannot learn few sounds by heart.

Every augmentation is differentiable any number of times in the sound, takes its random numbers as arguments, and keeps the length.
A probability of 0 changes nothing, to the bit. The probability follows `polygan.AdaptiveAugmentation`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

UNIFORM_DRAWS, NORMAL_DRAWS = 7, 1
SHIFT = 1 / 32
"""Largest shift as a share of the length: 32 ms of 16,384 samples at 16 kHz."""
GAIN = 0.5
"""Standard deviation of the gain in octaves: 3 dB."""


def augment_waveform(waveform: Tensor, p: Tensor, uniform: Tensor, normal: Tensor) -> Tensor:
    """Sounds (n, T) moved in time, louder or quieter, turned upside down, and duller or brighter, each with probability ``p``.

    ``p`` is a scalar in [0, 1]; ``uniform`` (n, 7) in [0, 1) and ``normal`` (n, 1) are the draws. Silence comes in where a sound
    moves. The tone is a filter of three samples: its gain is 1 at 0 Hz, and from 0 to 1.5 at half the sample rate.
    """
    u, one = uniform.to(waveform.dtype), torch.ones_like(waveform[:, :1])
    gate = uniform < p
    x = moved(waveform, _shift(gate, u, waveform.shape[1]), torch.zeros_like(one))
    gain = torch.where(gate[:, 2:3], torch.exp2(normal.to(x.dtype) * GAIN), one)
    gain = gain * torch.where(gate[:, 3:4] & (uniform[:, 4:5] < 0.5), -one, one)
    tone = torch.where(gate[:, 5:6], 0.75 * u[:, 6:7] - 0.25, torch.zeros_like(one))
    near = (F.pad(x[:, 1:], (0, 1)) + F.pad(x[:, :-1], (1, 0))) / 2
    return (x + tone * (near - x)) * gain


def augment_mel(mel: Tensor, p: Tensor, uniform: Tensor, normal: Tensor, silence: float, base: float) -> Tensor:
    """Log-mels (n, n_mels, F) moved by whole frames and made louder or quieter; the draws of `augment_waveform`.

    ``silence`` is the value that comes in, ``base`` the base of the logarithm. What turns a sound upside down leaves its mel alone.
    """
    u, gate = uniform.to(mel.dtype), uniform < p
    x = moved(mel, _shift(gate, u, mel.shape[2])[..., None], torch.full_like(mel[:, :1, :1], silence))
    gain = torch.where(gate[:, 2:3], normal.to(mel.dtype) * GAIN, torch.zeros_like(u[:, :1]))
    return x + (gain * math.log(2, base))[..., None]


def _shift(gate: Tensor, u: Tensor, length: int) -> Tensor:
    """Whole places (n, 1), int64, by which sounds of ``length`` places are moved."""
    most = max(1, round(SHIFT * length))
    places = ((2 * u[:, 1:2] - 1) * most).round().long()
    return torch.where(gate[:, :1], places, torch.zeros_like(places))


def moved(x: Tensor, shift: Tensor, silence: Tensor) -> Tensor:
    """``x`` (n, ..., T) later by ``shift`` places, int64 of a shape that broadcasts; ``silence`` comes in."""
    length = x.shape[-1]
    place = torch.arange(length, device=x.device) - shift
    inside = (place >= 0) & (place < length)
    return torch.where(inside, x.gather(-1, place.clamp(0, length - 1).expand(x.shape)), silence)
