"""The settings of sound data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from polygan import ConfigError, DataSettings

from . import files


@dataclass(frozen=True, kw_only=True)
class AudioSettings(DataSettings):
    """How sound is read."""

    sample_rate: int = 0
    """Hz that recordings are resampled to; 0: their own, if all share it (the set `tones`: 16000)."""
    segment: int = 8192
    """Samples of a training segment, >= 1; with mels a multiple of hop_length."""
    short: Literal["pad", "drop"] = "pad"
    """What becomes of clips shorter than a segment: silence behind them, or left out; both are counted."""
    piece_seconds: float = 30.0
    """Longer recordings are cut into pieces of at most so many seconds, [1, 600], which count as samples: of an epoch, and of what is
    held out. Bounds the memory of decoding."""
    normalize: Literal["none", "peak"] = "none"
    """peak: each file is scaled to a peak of 0.95."""
    trim: float = 0.0
    """Silence at both ends that is more than so many dB below a file's peak is cut, in steps of 10 ms; 0: not."""
    max_channels: int = files.MAX_CHANNELS
    """Files of more channels count as unreadable; others are mixed down to one, [1, 1024]."""
    mels: str = ""
    """A folder of mels (bands, frames), NAME.npy or NAME.safetensors for each recording, to fine-tune on."""
    hop_length: int = 256
    """Samples between frames of the given mels, >= 1."""
    size: int = 200
    """Clips of the set `tones`, which is made up, >= 2."""
    tones_seed: int = 0
    """Seed of the set `tones`, >= 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = files.RATES
        if self.sample_rate and not low <= self.sample_rate <= high:
            raise ConfigError(
                f"data.sample_rate = {self.sample_rate} Hz is outside [{low}, {high}]; 0 keeps the files' own"
            )
        for name, least in (("segment", 1), ("hop_length", 1), ("size", 2), ("tones_seed", 0), ("trim", 0)):
            if not getattr(self, name) >= least:
                raise ConfigError(f"data.{name} = {getattr(self, name)} is too small; the least is {least}")
        for name, known in (("short", ("pad", "drop")), ("normalize", ("none", "peak"))):
            if getattr(self, name) not in known:
                raise ConfigError(f"data.{name} = {getattr(self, name)!r}; known are {', '.join(known)}")
        if not 1 <= self.piece_seconds <= 600:
            raise ConfigError(f"data.piece_seconds = {self.piece_seconds:g} is outside [1, 600]; 30 is usual")
        if not 1 <= self.max_channels <= 1024:
            raise ConfigError(f"data.max_channels = {self.max_channels} is outside [1, 1024]; 32 is usual")
        if self.mels:
            self._check_mels()

    def _check_mels(self) -> None:
        if self.segment % self.hop_length:
            fits = max(1, self.segment // self.hop_length) * self.hop_length
            raise ConfigError(
                f"data.segment = {self.segment} is not a multiple of data.hop_length = {self.hop_length} ({self.segment} / "
                f"{self.hop_length} = {self.segment / self.hop_length:.2f} frames); use e.g. {fits}"
            )
        for name, off in (("trim", 0), ("normalize", "none")):
            if getattr(self, name) != off:
                raise ConfigError(
                    f"data.{name} = {getattr(self, name)} would change recordings that the mels of data.mels were made from; "
                    f"leave it at {off}"
                )
