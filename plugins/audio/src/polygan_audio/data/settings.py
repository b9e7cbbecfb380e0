"""The settings of sound data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from polygan import ConfigError, DataSettings, ranged

from . import files


@dataclass(frozen=True, kw_only=True)
class AudioSettings(DataSettings):
    """How sound is read."""

    paths: ClassVar[tuple[str, ...]] = (*DataSettings.paths, "parallel", "mels")
    sample_rate: int = ranged(0, f"0 or [{files.RATES[0]}, {files.RATES[1]}]", hint="0 keeps the files' own")
    """Hz that recordings are resampled to; 0: their own, if all share it (the set `tones`: 16000)."""
    segment: int = ranged(8192, "[0, inf)")
    """Samples of a training segment; with mels a multiple of hop_length. 0: whole clips, in batches of like length."""
    longest_seconds: float = ranged(15.0, "[1, 600]")
    """With segment 0, clips longer than so many seconds are left out and counted; without transcripts they are cut."""
    speakers: Literal["none", "folders", "column"] = "none"
    """Who speaks: folders: the first folder below the source; column: a column `speaker` of metadata.csv, of Parquet files or of `hf:`. Each is a class."""
    audio_column: str = ""
    """Of Parquet files and `hf:`, the column with sound; empty: the first of type Audio."""
    text_column: str = ""
    """Of Parquet files and `hf:`, the column with transcripts; empty: `text`, `sentence`, `transcription` or the like, if it is there."""
    speaker_column: str = ""
    """Of Parquet files and `hf:`, the column that says who speaks (with speakers `column`); empty: `speaker`, `speaker_id` or `client_id`."""
    parallel: str = ""
    """A folder with the same sentences under the same file names, by another speaker or in another language; needs segment 0."""
    short: Literal["pad", "drop"] = "pad"
    """What becomes of clips shorter than a segment: silence behind them, or left out; both are counted."""
    crop: Literal["random", "start"] = "random"
    """Where in a clip a segment begins: anywhere, or at the clip's first sample (short sounds, which are heard from their beginning)."""
    piece_seconds: float = ranged(30.0, "[1, 600]", usual=30)
    """Longer recordings are cut into pieces of at most so many seconds, which bounds the memory of decoding. Pieces count as samples:
    of an epoch, and of what is held out."""
    normalize: Literal["none", "peak"] = "none"
    """peak: each file is scaled to a peak of 0.95."""
    trim: float = ranged(0.0, "[0, inf)")
    """Silence at both ends that is more than so many dB below a file's peak is cut, in steps of 10 ms; 0: not."""
    max_channels: int = ranged(files.MAX_CHANNELS, "[1, 1024]", usual=files.MAX_CHANNELS)
    """Files of more channels count as unreadable; others are mixed down to one."""
    mels: str = ""
    """A folder of mels (bands, frames), NAME.npy or NAME.safetensors for each recording, to fine-tune on."""
    mels_normalised: tuple[float, ...] = ()
    """Mean and deviation that the given mels were normalised with, (mel - mean) / deviation; polygan undoes that."""
    mels_scale: Literal["check", "keep"] = "check"
    """check: given mels on another scale than the front end's are refused; keep: they are taken as they are."""
    hop_length: int = ranged(256, "[1, inf)")
    """Samples between frames of the given mels."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mels_normalised and not (
            len(self.mels_normalised) == 2
            and self.mels_normalised[1] > 0
            and all(map(math.isfinite, self.mels_normalised))
        ):
            raise ConfigError(
                f"data.mels_normalised = {list(self.mels_normalised)} is not a mean and a deviation above 0; write e.g. "
                "--data.mels_normalised -5.2 2.1"
            )
        if self.mels:
            self._check_mels()
        if self.parallel and self.segment:
            raise ConfigError(
                f"data.parallel needs whole clips, and data.segment = {self.segment} cuts segments; add --data.segment 0"
            )

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


@dataclass(frozen=True, kw_only=True)
class TonesSettings(AudioSettings):
    """What the set `tones` adds."""

    size: int = ranged(200, "[2, inf)")
    """Clips of the set."""
    tones_seed: int = ranged(0, "[0, inf)")
    """Seed of the set."""
    kind: Literal["mixed", "notes", "drums"] = "mixed"
    """mixed: notes, chords, chirps and clicks of 1 to 2 s, without labels. notes: C3 to B4, 1 s each, labelled by their names.
    drums: kicks, snares and hats, 1 s each, labelled."""


@dataclass(frozen=True, kw_only=True)
class ShotsSettings(AudioSettings):
    """What the set `shots` adds, and its own defaults."""

    paths: ClassVar[tuple[str, ...]] = ("kits", *AudioSettings.paths)
    kits: str = ""
    """Your folder of short sounds, with a folder for each class: kick/, snare/. Silence at both ends is cut (`trim` 40), and a sound
    is heard from its beginning (`crop` start)."""
    speakers: Literal["none", "folders", "column"] = "folders"
    """folders: the first folder below `kits` names the class."""
    crop: Literal["random", "start"] = "start"
    """Sounds are heard from their beginning."""
    trim: float = ranged(40.0, "[0, inf)")
    """dB below a file's peak that count as silence at both ends; 0: nothing is cut."""
    piece_seconds: float = ranged(600.0, "[1, 600]", usual=600)
    """A file is one sound, however long."""
