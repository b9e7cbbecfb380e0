"""The domain ``audio``: opening a source, batches, files, players and cheap features."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, cast

import numpy as np
import torch
import torch.nn.functional as F

from polygan import ConfigError, DataError, Domain, Joined, Samples, is_table

from ..networks.melspec import MelSpec
from . import batches, files, mels, players, transcripts
from .encoding import check_stream, pour
from .facts import AudioExtra, extra_of, info_of
from .given import read_file, waveforms_of
from .layouts import open_file, open_folder, open_transcribed, table_of
from .settings import AudioSettings
from .speakers import open_speakers
from .tabled import open_tabled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

    from polygan import Batch, Piece, Source, Split

    from .encoding import Encoding
    from .sources import RecordingSource

_LOGGER = logging.getLogger("polygan")
_GAP = 0.3  # seconds of silence between samples that are written to one file
_BANDS = 40  # of the features


class AudioDomain(Domain):
    """Sound: int16 (T,) in the store, mono; segments or whole clips for networks; `Samples` hold float32 (T_i,) in [-1, 1].

    `AudioExtra` says what ``Samples.extra`` holds.
    """

    id: ClassVar[str] = "audio"
    Settings = AudioSettings
    reads: ClassVar[tuple[str, ...]] = (*files.SUFFIXES, *mels.SUFFIXES)
    opens: ClassVar[tuple[str, ...]] = (".parquet",)
    writes: ClassVar[tuple[str, ...]] = files.WRITTEN

    def open(self, settings: AudioSettings) -> Source:
        """A folder of sound files (recursive), one file, or the LJSpeech layout (``metadata.csv`` and ``wavs/``) and its kin.

        Also Parquet files and a data set of Hugging Face's `datasets` (`polygan.open_table`), with columns of sound, text and speakers.
        ``settings.speakers`` says who speaks, ``settings.parallel`` names recordings that are joined by name.
        """
        if not settings.source:
            raise DataError("no data: give a folder, a file or the name of a data set with --data")
        source = self._recordings(settings)
        if not settings.parallel:
            return source
        there = replace(settings, source=settings.parallel, speakers="none", mels="", sample_rate=source.rate)
        if not is_table(settings.parallel):
            there = replace(there, audio_column="", text_column="", speaker_column="")
        return Joined(source, self._recordings(there), "parallel", _own_name)

    def _recordings(self, settings: AudioSettings) -> RecordingSource:
        if is_table(settings.source):
            return open_tabled(settings.source, settings)
        path = Path(settings.source).expanduser()
        for option in ("audio_column", "text_column", "speaker_column"):
            if value := getattr(settings, option):
                raise ConfigError(
                    f"data.{option} = {value!r} names a column of Parquet files or of a data set hf:NAME, and "
                    f"{settings.source!r} is neither; leave --data.{option} out"
                )
        if settings.speakers == "folders" and path.is_dir():
            return open_speakers(path, settings)
        if path.name in transcripts.NAMES and path.is_file():
            return open_transcribed(path.parent, path, settings)
        if not path.is_dir():
            return open_file(path, settings)
        if table := table_of(path):
            return open_transcribed(path, table, settings)
        return open_folder(path, settings)

    def collate(self, split: Split, rows: np.ndarray, draws: np.ndarray) -> Batch:
        """Random segments from where draws[:, 0] say (`batches.segments`); with ``segment`` 0 whole clips (`batches.whole_clips`).

        Where speakers are known, ``label`` int64 (B,).
        """
        whole = not info_of(split.store.info)["segment"]
        batch = batches.whole_clips(split, rows) if whole else batches.segments(split, rows, draws[:, 0])
        return {**batch, "label": split.store.gather("label", rows)} if "label" in split.store.fields else batch

    def costs(self, split: Split) -> np.ndarray | None:
        """The samples of each clip, where batches are of whole clips."""
        return None if info_of(split.store.info)["segment"] else split.store.lengths("waveform", split.rows)

    def prepare(self, batch: Batch, info: Mapping[str, Any]) -> Batch:
        """Waveforms float32 (B, T) in [-1, 1); everything else as it is."""
        sounds = [name for name in batch if name in ("waveform", "parallel_waveform")]
        return {**batch, **{name: batch[name].float() / 32768 for name in sounds}}

    def batch_of(self, samples: Samples) -> Batch | None:
        """`batches.batch_of`: None where segments differ in length; whole clips are padded."""
        return batches.batch_of(samples)

    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """Whole clips of store rows (n,), with their speakers, transcripts and mels where there are such."""
        store, info = split.store, info_of(split.store.info)

        def texts(field: str) -> list[str]:
            return [store.item(field, int(row)).tobytes().decode("utf-8") for row in rows]

        data = [torch.from_numpy(store.item("waveform", int(row)).astype(np.float32) / 32768) for row in rows]
        extra = AudioExtra(sample_rate=info["sample_rate"])
        if not info["segment"]:
            extra["whole"] = True
        if "text" in store.fields:
            extra["text"] = texts("text")
        if "parallel_text" in store.fields:
            extra["parallel_text"] = texts("parallel_text")
        if "mel" in store.fields:
            extra["mel"] = [torch.from_numpy(store.item("mel", int(row)).T.copy()) for row in rows]
        labels = store.gather("label", rows) if "label" in store.fields else None
        return Samples(data, self, labels, tuple(info.get("classes", ())), extra=dict(extra))

    def read(self, path: Path, info: Mapping[str, Any]) -> Iterator[Samples]:
        """One waveform in pieces of some seconds, at the sample rate of the data; or one mel of a .npy or .safetensors file."""
        for piece in read_file(path, info_of(info)["sample_rate"]):
            piece.domain = self
            yield piece

    def take(self, value: Any, info: Mapping[str, Any]) -> Samples:
        """Waveforms (T,) or (n, T), or a list of them: floats in [-1, 1], or int16, at the sample rate of the data."""
        rate = info_of(info)["sample_rate"]
        return Samples(waveforms_of(value, rate), self, extra={"sample_rate": rate})

    def join(self, pieces: Iterable[Samples]) -> Samples:
        """Pieces with one sample each and one name are one sound, end to end; others keep their samples, in a row."""
        sounds: list[list[Tensor]] = []
        names: list[str] = []
        rate: int = 0
        encoding: Encoding = "pcm16"
        for piece, follows in _followed(pieces):
            rate, encoding = _format_of(piece)
            if follows:
                sounds[-1].append(piece.data[0])
            else:
                sounds += [[waveform] for waveform in piece.data]
                names += piece.names
        data = [torch.cat(parts) if len(parts) > 1 else parts[0] for parts in sounds]
        extra = AudioExtra(sample_rate=rate) if encoding == "pcm16" else AudioExtra(sample_rate=rate, encoding=encoding)
        return Samples(data, self, names=names, extra=dict(extra))

    def write_file(self, pieces: Iterable[Samples], path: Path) -> None:
        """Write pieces as they come; memory does not depend on their number. Sounds are joined as `join` says, 0.3 s apart."""
        parts, rate, encoding = _sequence(pieces, str(path))
        files.write_blocks(path, parts, rate, encoding)

    def pour(self, pieces: Iterable[Samples], stream: BinaryIO, format: str) -> None:
        """Write pieces to a stream as they come: ``wav``, the usual, or ``raw``, little-endian samples without a header."""
        kind = check_stream(format)
        parts, rate, encoding = _sequence(pieces, "standard output")
        if clipped := pour(parts, rate, encoding, stream, kind):
            _LOGGER.warning("%s samples were beyond full scale and are clipped", f"{clipped:,}")

    def write(self, samples: Samples, path: Path) -> list[Path]:
        """A folder of 00000.wav, ... (or ``names``.wav), or one .wav, .flac or .ogg, several samples 0.3 s apart.

        Samples beyond [-1, 1) are clipped, and a warning counts them.
        """
        rate, encoding = _format_of(samples)
        if self.suffix_of(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            gap = torch.zeros(round(_GAP * rate))
            parts = [part for i, w in enumerate(samples.data) for part in ([gap, w] if i else [w])]
            _say_clipped({path: files.write_blocks(path, parts, rate, encoding)})
            return [path]
        path.mkdir(parents=True, exist_ok=True)
        written = [path / f"{name}.wav" for name in _names(samples)]
        _say_clipped({f: files.write(f, w, rate, encoding) for f, w in zip(written, samples.data, strict=True)})
        return written

    def render(self, samples: Samples) -> list[Piece]:
        """Up to 10 players of up to 10 s, each with a picture of its waveform above its log-mel (and its alignment with text)."""
        return [players.player(samples, i) for i in range(min(len(samples), players.MOST))]

    def beside(self, given: Samples, made: Samples, truth: Samples | None, info: Mapping[str, Any]) -> list[Piece]:
        """Each made sound beside its recording; beside a re-synthesis also Griffin-Lim from the recording's mel, by number."""
        if truth is not None and players.resynthesised(made, truth):
            return [*players.resyntheses(made, truth)]
        return [*players.pairs(given, made, truth)]

    def features(self, samples: Samples) -> Tensor:
        """(n, 80): means and deviations over time of 40 log-mel bands, scaled by (80)^-1/2.

        The Euclidean distance of two is the root-mean-square difference of these, in nats (8.7 dB).
        """
        spec = MelSpec(sample_rate=extra_of(samples)["sample_rate"], n_mels=_BANDS)
        rows = []
        for waveform in samples.data:
            clip = waveform.detach().float().cpu()
            mel = spec(F.pad(clip, (0, max(0, spec.n_fft - len(clip)))))  # (40, frames)
            rows.append(torch.cat([mel.mean(1), mel.std(1, correction=0)]))
        return torch.stack(rows) / (2 * _BANDS) ** 0.5 if rows else torch.zeros(0, 2 * _BANDS)


def _own_name(source: Source, index: int) -> str:
    """The name by which a recording finds its partner: its file's, without folder and suffix, or the number of its row."""
    recordings = cast("RecordingSource", source)
    return PurePath(recordings.recordings[recordings.pieces[index].recording].name).name


def _followed(pieces: Iterable[Samples]) -> Iterator[tuple[Samples, bool]]:
    """Each piece, and whether it goes on with the sound of the piece before: both have one sample, and the same name."""
    before: list[str] | None = None
    for piece in pieces:
        names = [*piece.names] if len(piece) == 1 else None
        yield piece, names is not None and names == before
        before = names


def _format_of(samples: Samples) -> tuple[int, Encoding]:
    """The sample rate in Hz, and how samples are written."""
    extra = extra_of(samples)
    return extra["sample_rate"], extra.get("encoding", "pcm16")


def _sequence(pieces: Iterable[Samples], place: str) -> tuple[Iterator[Tensor], int, Encoding]:
    """Sounds end to end, those of other names 0.3 s apart, with rate and encoding. DataError where there is none."""
    pieces = iter(pieces)
    first = next(pieces, None)
    if first is None:
        raise DataError(f"{place}: no sound was made; give a longer recording")
    rate, encoding = _format_of(first)

    def parts() -> Iterator[Tensor]:
        begun = False
        for piece, follows in _followed(chain([first], pieces)):
            for waveform in piece.data:
                if begun and not follows:
                    yield torch.zeros(round(_GAP * rate))
                begun = True
                yield waveform

    return parts(), rate, encoding


def _names(samples: Samples) -> list[str]:
    """File names without suffix: those of ``samples.names`` where they differ, else numbers."""
    paths = [Path(str(name)) for name in samples.names]
    names = [path.stem if path.suffix.lower() in AudioDomain.reads else path.name for path in paths]
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
        _LOGGER.warning("%s samples of %s%s were beyond full scale and are clipped", f"{total:,}", first.name, more)
