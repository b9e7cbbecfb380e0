"""The domain ``audio``: settings, opening a source, random segments, files, players and cheap features."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F

from polygan import ConfigError, DataError, DataSettings, Domain, Samples, Sound

from . import drawing, files, mels
from .layouts import open_file, open_folder, open_ljspeech
from .melspec import MelSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from polygan import Batch, Piece, Source, Split

_SHOWN = 10  # players in a report
_SECONDS = 10  # of each
_GAP = 0.3  # seconds of silence between samples that are written to one file
_BANDS = 40  # of the features


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


class AudioDomain(Domain):
    """Sound: int16 (T,) in the store, mono; segments (B, segment) for networks; `Samples` hold float32 (T_i,) in [-1, 1].

    ``Samples.extra``: ``sample_rate`` in Hz, and where there are such, one a sample: ``names``, ``text`` (transcripts),
    ``mel`` (n_mels, frames_i).
    """

    id: ClassVar[str] = "audio"
    Settings = AudioSettings

    def open(self, settings: AudioSettings) -> Source:
        """A folder of sound files (recursive), one file, or the LJSpeech layout (``metadata.csv`` and ``wavs/``)."""
        if not settings.source:
            raise DataError("no data: give a folder, a file or the name of a data set with --data")
        path = Path(settings.source).expanduser()
        if path.name == "metadata.csv" and path.is_file():
            path = path.parent
        if not path.is_dir():
            return open_file(path, settings)
        if (path / "metadata.csv").is_file() and (path / "wavs").is_dir():
            return open_ljspeech(path, settings)
        return open_folder(path, settings)

    def collate(self, split: Split, rows: np.ndarray, draws: np.ndarray) -> Batch:
        """``waveform`` int16 (B, segment): from where draws[:, 0] say, silence behind short clips.

        Where mels are given, a segment begins on a frame, and ``mel`` float32 (B, n_mels, segment / hop) goes along;
        behind a short clip stands the clip's smallest value.
        """
        store = split.store
        segment, hop = store.info["segment"], store.info.get("mel_hop", 0)
        waveforms = np.zeros((len(rows), segment), np.int16)
        frames = segment // hop if hop else 0
        given = np.zeros((len(rows), store.info["n_mels"] if hop else 0, frames), np.float32)
        for b, (row, draw) in enumerate(zip(rows.tolist(), draws[:, 0].tolist(), strict=True)):
            waveform = store.item("waveform", row)
            if hop:
                mel = store.item("mel", row)  # (frames, n_mels)
                start = int(draw * max(1, min(len(mel), len(waveform) // hop) - frames + 1))
                part = mel[start : start + frames]
                given[b] = mel.min()
                given[b, :, : len(part)] = part.T
                start *= hop
            else:
                start = int(draw * max(1, len(waveform) - segment + 1))
            part = waveform[start : start + segment]
            waveforms[b, : len(part)] = part
        batch = {"waveform": torch.from_numpy(waveforms)}
        return {**batch, "mel": torch.from_numpy(given)} if hop else batch

    def prepare(self, batch: Batch) -> Batch:
        """``waveform`` float32 (B, segment) in [-1, 1); everything else as it is."""
        return {**batch, "waveform": batch["waveform"].float() / 32768}

    def batch_of(self, samples: Samples) -> Batch | None:
        """``waveform`` (n, T), and ``mel`` (n, n_mels, frames) where there are mels; None where lengths differ."""
        given = samples.extra.get("mel")
        if not len(samples) or any(len({t.shape for t in tensors}) > 1 for tensors in (samples.data, given or [])):
            return None
        return {"waveform": torch.stack(samples.data), **({"mel": torch.stack(given)} if given else {})}

    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """Whole clips of store rows (n,), with their transcripts and mels where there are such."""
        store = split.store

        def items(field: str) -> list[np.ndarray]:
            return [store.item(field, int(row)) for row in rows]

        data = [torch.from_numpy(w.astype(np.float32) / 32768) for w in items("waveform")]
        extra: dict[str, Any] = {"sample_rate": store.info["sample_rate"]}
        if "text" in store.fields:
            extra["text"] = [t.tobytes().decode("utf-8") for t in items("text")]
        if "mel" in store.fields:
            extra["mel"] = [torch.from_numpy(m.T.copy()) for m in items("mel")]
        return Samples(data, self, extra=extra)

    def write(self, samples: Samples, path: Path) -> list[Path]:
        """A folder of 00000.wav, ... (or ``names``.wav), or one .wav, .flac or .ogg, several samples 0.3 s apart.

        Samples beyond [-1, 1) are clipped, and said so on stderr.
        """
        rate = samples.extra["sample_rate"]
        if path.suffix.lower() in files.WRITTEN and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            gap = torch.zeros(round(_GAP * rate))
            parts = [part for i, w in enumerate(samples.data) for part in ([gap, w] if i else [w])]
            _say_clipped({path: files.write_blocks(path, parts, rate)})
            return [path]
        if path.suffix and not path.is_dir():
            raise ConfigError(f"{path}: sound is written as {', '.join(files.WRITTEN)}, or into a folder (no suffix)")
        path.mkdir(parents=True, exist_ok=True)
        written = [path / f"{name}.wav" for name in _names(samples)]
        _say_clipped({f: files.write(f, w, rate) for f, w in zip(written, samples.data, strict=True)})
        return written

    def render(self, samples: Samples) -> list[Piece]:
        """Up to 10 players of up to 10 s, each with a picture of its waveform above its log-mel."""
        rate = samples.extra["sample_rate"]
        pieces: list[Piece] = []
        for i, waveform in enumerate(samples.data[:_SHOWN]):
            shown = waveform[: _SECONDS * rate].detach().float().cpu().nan_to_num(0, 0, 0)
            picture = drawing.picture(shown.numpy(), rate)
            pieces.append(Sound(files.wav_bytes(shown, rate), rate, _caption(samples, i), picture))
        return pieces

    def features(self, samples: Samples) -> Tensor:
        """(n, 80): means and deviations over time of 40 log-mel bands, scaled by (80)^-1/2.

        The Euclidean distance of two is the root-mean-square difference of these, in nats (8.7 dB).
        """
        spec = MelSpec(sample_rate=samples.extra["sample_rate"], n_mels=_BANDS)
        rows = []
        for waveform in samples.data:
            clip = waveform.detach().float().cpu()
            mel = spec(F.pad(clip, (0, max(0, spec.n_fft - len(clip)))))  # (40, frames)
            rows.append(torch.cat([mel.mean(1), mel.std(1, correction=0)]))
        return torch.stack(rows) / (2 * _BANDS) ** 0.5 if rows else torch.zeros(0, 2 * _BANDS)


def _names(samples: Samples) -> list[str]:
    """File names without suffix: those of ``extra["names"]`` where they differ, else numbers."""
    known = (*files.SUFFIXES, *mels.SUFFIXES)
    paths = [Path(str(name)) for name in samples.extra.get("names", ())]
    names = [path.stem if path.suffix.lower() in known else path.name for path in paths]
    if len(names) == len(samples) == len(set(names)) and all(names):
        return names
    width = max(5, len(str(len(samples) - 1)))
    return [f"{i:0{width}d}" for i in range(len(samples))]


def _say_clipped(counts: Mapping[Path, int]) -> None:
    """One line for all files."""
    clipped = {path: n for path, n in counts.items() if n}
    if clipped:
        first, more = next(iter(clipped)), f" and {len(clipped) - 1:,} more" if len(clipped) > 1 else ""
        total = sum(clipped.values())
        logging.getLogger("polygan").warning(
            f"polygan: {total:,} samples of {first}{more} were beyond full scale and are clipped"
        )


def _caption(samples: Samples, index: int) -> str:
    """Name, length and transcript, as far as there are such."""
    seconds = len(samples.data[index]) / samples.extra["sample_rate"]
    length = f"{seconds:.1f} s" if seconds <= _SECONDS else f"the first {_SECONDS} s of {seconds:.1f} s"
    name, text = (str(samples.extra[key][index]) if samples.extra.get(key) else "" for key in ("names", "text"))
    return " – ".join(filter(None, (name, length, text)))
