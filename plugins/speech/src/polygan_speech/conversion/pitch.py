"""The pitch of speech: found, converted linearly, drawn as harmonics of a log-mel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan_audio.networks.convolutions import full_precision, wide
from polygan_audio.networks.pitch import PitchTracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from polygan_audio.networks.melspec import MelSpec

LOWEST, HIGHEST = 60.0, 500.0
"""Hz between which a pitch is looked for."""
_TRACKER = PitchTracker(LOWEST, HIGHEST, voiced=0.5, octave=0.02)
_SECONDS = 0.03  # that are compared with themselves, shifted
_QUIET = 1e-3  # root mean square below which no frame is voiced: -60 dB of full scale
_MEDIAN = 5  # frames
_PITCHES = 72  # of the table of harmonics


def frame_centres(spec: MelSpec, frames: Tensor) -> Tensor:
    """The sample in the middle of each frame number, int64, of the shape of ``frames``."""
    return frames * spec.hop_length + (spec.hop_length // 2 if spec.padding == "same" else 0)


@torch.no_grad()
def pitch_of(waveform: Tensor, spec: MelSpec, frames: Tensor) -> Tensor:
    """The pitch in Hz of frames (B, F), int64 numbers of neighbours in time, of waveforms (B, T); 0 where a frame is unvoiced.

    `PitchTracker.in_cuts` finds periods, and a median over five frames removes single jumps. No value is read.
    """
    with full_precision(waveform.device):
        x, size = wide(waveform), cut_size(spec)
        x = F.pad(x, (size // 2, size - size // 2))
        places = frame_centres(spec, frames)[..., None] + torch.arange(size, device=x.device)  # (B, F, size)
        return pitch_in_cuts(x[:, None].expand(-1, frames.shape[1], -1).gather(2, places), spec)


def cut_size(spec: MelSpec) -> int:
    """Samples of the cut around a frame's centre in which its pitch is looked for."""
    return _TRACKER.cut_size(_length(spec), spec.sample_rate)


def pitch_in_cuts(cuts: Tensor, spec: MelSpec, correlate: Callable[[Tensor, Tensor], Tensor] | None = None) -> Tensor:
    """The pitch in Hz of cuts (B, F, `cut_size`) around the centres of neighbouring frames; 0 where a frame is unvoiced.

    ``correlate``: see `PitchTracker.in_cuts`.
    """
    lag, voiced, energy = _TRACKER.in_cuts(cuts, _length(spec), spec.sample_rate, correlate)
    return _smoothed(spec.sample_rate / lag, voiced & (energy.sqrt() > _QUIET))


def _length(spec: MelSpec) -> int:
    return round(_SECONDS * spec.sample_rate)


def _smoothed(pitch: Tensor, voiced: Tensor) -> Tensor:
    """The median of the voiced pitches around each frame (B, F), where two of three neighbours are voiced; else 0."""
    side, frames = _MEDIAN // 2, pitch.shape[1]
    marked = F.pad(torch.where(voiced, pitch, torch.inf), (side, side), value=torch.inf)
    flags = F.pad(voiced.long(), (side, side))
    near = torch.stack([marked[:, i : i + frames] for i in range(_MEDIAN)], 2).sort(2)[0]  # voiced ones first
    counts = [flags[:, i : i + frames] for i in range(_MEDIAN)]
    middle = near.gather(2, ((sum(counts) - 1) // 2).clamp(min=0)[..., None])[..., 0]  # pyright: ignore[reportAttributeAccessIssue]
    kept = sum(counts[side - 1 : side + 2]) >= 2
    return torch.where(kept & middle.isfinite(), middle, 0.0)


def convert_pitch(pitch: Tensor, source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
    """Pitches (B, F) in Hz of one voice as those of another: a linear map of log-F0 (Kaneko & Kameoka 2018, section 4.1).

    ``source`` and ``target`` hold the mean and the deviation of ln Hz, each (B,). Unvoiced frames, 0, stay 0.
    """
    (mean, deviation), (new_mean, new_deviation) = ([x[:, None] for x in pair] for pair in (source, target))
    relative = (pitch.clamp(min=1.0).log() - mean) / deviation
    made = (relative * new_deviation + new_mean).exp().clamp(LOWEST, HIGHEST)
    return torch.where(pitch > 0, made, 0.0)


class Harmonics(nn.Module):
    """What a pitch does to a log-mel: peaks at its harmonics, as far as the front end resolves them.

    The table holds log-mels of pulse trains, less their smooth part. Between its pitches it is interpolated.
    """

    table: Tensor

    def __init__(self, spec: MelSpec, smooth: Tensor) -> None:
        """``smooth`` (n_mels, n_mels) gives the smooth part of a log-mel."""
        super().__init__()
        self.step = math.log(HIGHEST / LOWEST) / (_PITCHES - 1)
        pitches = LOWEST * torch.exp(self.step * torch.arange(_PITCHES, dtype=torch.float64))
        time = torch.arange(4 * spec.n_fft, dtype=torch.float64) / spec.sample_rate
        rows = []
        for pitch in pitches.tolist():
            count = max(1, int(spec.sample_rate / 2 / pitch - 1e-6))
            angle = 2 * math.pi * pitch * torch.arange(1, count + 1, dtype=torch.float64)[:, None] * time
            mel = spec((angle.cos().sum(0) / count).float())
            rows.append(mel[:, mel.shape[1] // 2].double())
        mels = torch.stack(rows)  # (pitches, n_mels)
        self.register_buffer("table", (mels - mels @ smooth.double().T).float(), persistent=False)

    def forward(self, pitch: Tensor) -> Tensor:
        """Pitches (B, F) in Hz, 0 where unvoiced, to (B, n_mels + 2, F): peaks, a flag, and ln Hz around 150 Hz."""
        voiced = (pitch > 0).to(self.table.dtype)
        logarithm = pitch.clamp(LOWEST, HIGHEST).log().to(self.table.dtype)
        place = ((logarithm - math.log(LOWEST)) / self.step).clamp(0, _PITCHES - 1.001)
        low = place.floor()
        share = (place - low)[..., None]
        index = low.long()
        peaks = self.table[index] * (1 - share) + self.table[index + 1] * share  # (B, F, n_mels)
        more = torch.stack([torch.ones_like(logarithm), 2 * (logarithm - math.log(150.0))], 2)
        return (torch.cat([peaks, more], 2) * voiced[..., None]).transpose(1, 2)
