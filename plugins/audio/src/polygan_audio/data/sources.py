"""Recordings that are files: cut into pieces, resampled, trimmed, with transcripts and given mels."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from polygan import DataError, Fact, Field, LeftOut, Source, remembered

from . import files
from .facts import AudioInfo, SourceFacts, counted, fact_of_texts, facts_of_files
from .mels import GivenMels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from .settings import AudioSettings

SILENT = 1e-4
"""Peak below which a sample is silence only: -80 dB of full scale."""
PEAK = 0.95
"""Peak of a file with ``normalize = "peak"``."""
_VERSION = 1  # of what `decode` returns for the same file and settings


@dataclass
class Recording:
    """A file with what is known of it before it is opened."""

    path: Path
    name: str
    """Its path below the root without the suffix, by which its mel is found."""
    text: str = ""
    problem: str = ""
    """Why it cannot be used; empty: nothing known."""
    head: files.Header = field(default_factory=lambda: files.Header(0, 0, 0))
    lock: Lock = field(default_factory=Lock, repr=False)
    envelope: Envelope | None = None


class Envelope(NamedTuple):
    """The peak of a file, and from where to where (in its own samples) it is louder than the trimming threshold."""

    peak: float
    begin: int
    end: int


class Piece(NamedTuple):
    """A stretch of a recording in its own samples."""

    recording: int
    start: int
    frames: int


class SoundSource(Source):
    """Fields, facts and the treatment of samples that all sources share: ``waveform`` int16 (T,), mono."""

    settings: AudioSettings

    def _describe(
        self,
        settings: AudioSettings,
        rate: int,
        seconds: float,
        short: int,
        facts: SourceFacts,
        more: Mapping[str, Field] | None = None,
    ) -> None:
        """Set ``fields`` and ``info``; ``short`` of the clips are shorter than a segment."""
        self.settings = settings
        self.fields = {"waveform": Field("int16", (None,)), **(more or {})}
        own = AudioInfo(
            sample_rate=rate,
            segment=settings.segment,
            seconds=round(seconds, 3),
            short=f"{short} {'dropped' if settings.short == 'drop' else 'padded'}",
        )
        if settings.crop != "random":
            own["crop"] = settings.crop
        self.info = {**own, **facts}

    def _refuse_empty(self, kept: int, rate: int) -> None:
        if not kept:
            raise DataError(
                f"every clip of {self.settings.source!r} is shorter than a segment of {self.settings.segment} samples "
                f"({self.settings.segment / rate:.3f} s at {rate:,} Hz); lower --data.segment or use --data.short pad"
            )

    def _int16(self, waveform: np.ndarray) -> np.ndarray:
        """Floats (T,) as the store keeps them. DataError for silence, and for one too short where such are dropped."""
        rate, segment = self.info["sample_rate"], self.info["segment"]
        if self.settings.short == "drop" and len(waveform) < segment:
            raise DataError(f"{len(waveform) / rate:.3f} s are left, less than a segment of {segment} samples")
        if not len(waveform) or np.abs(waveform).max() < SILENT:
            raise DataError(f"holds silence only (peak below {20 * np.log10(SILENT):.0f} dB of full scale)")
        return files.to_int16(waveform)[0]

    def _fingerprint(self, *facts: object) -> str:
        facts = (_VERSION, self.info, *facts)
        return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()


class RecordingSource(SoundSource):
    """Sound files. The constructor reads headers, in threads; `decode` reads one piece."""

    def __init__(
        self,
        recordings: Sequence[Recording],
        settings: AudioSettings,
        *,
        text: bool = False,
        columns: str = "",
        left_out: Sequence[LeftOut] = (),
    ) -> None:
        """``text``: the recordings have transcripts, which become the field ``text``, UTF-8 as uint8 (bytes,).

        ``columns`` says where the transcripts come from; ``left_out`` is what else lies there.
        """
        self.settings, self.recordings, self._text, self._columns = settings, recordings, text, columns
        self.left_out = left_out
        self._look_at_all()
        good = [r for r in recordings if not r.problem]
        if not good:
            first = recordings[0]
            raise DataError(
                f"none of the {len(recordings):,} recordings of {settings.source!r} can be read ({first.path}: {first.problem})"
            )
        rate = settings.sample_rate or self._one_rate(good)
        self.rate = rate
        self.mels = None
        if settings.mels:
            self.mels = GivenMels(settings, {r.name: -(-r.head.frames * rate // r.head.rate) for r in good})
        pieces, short = [], 0
        for i, recording in enumerate(recordings):
            if recording.problem:
                pieces.append(Piece(i, 0, 0))
                continue
            for piece in self._cut(i, recording.head, rate):
                is_short = piece.frames * rate < settings.segment * recording.head.rate
                short += is_short
                if not (is_short and settings.short == "drop"):
                    pieces.append(piece)
        self.pieces = pieces
        resampled, mixed = (sum(r.head.rate != rate for r in good), sum(r.head.channels > 1 for r in good))
        facts = SourceFacts(files=len(recordings), resampled=resampled, mixed_down=mixed)
        more = dict[str, Field]()
        if text:
            facts["without_text"] = sum(not r.text for r in good)
            more["text"] = Field("uint8", (None,))
        if self.mels:
            facts["n_mels"], facts["mel_hop"] = self.mels.n_mels, settings.hop_length
            more["mel"] = Field("float32", (None, self.mels.n_mels))
        self._describe(settings, rate, sum(r.head.seconds for r in good), short, facts, more)
        self._refuse_empty(sum(not recordings[p.recording].problem for p in pieces), rate)

    def _look_at_all(self) -> None:
        """Set what each recording's header says, or the problem. Headers that were read before are in the cache."""
        most = self.settings.max_channels

        def look(recording: Recording) -> list[int] | str:
            try:
                return [*files.header(recording.path, most)]
            except (DataError, OSError) as error:
                return str(error)

        def find() -> list[list[int] | str]:
            with ThreadPoolExecutor(8) as pool:
                return list(pool.map(look, wanted))

        wanted = [r for r in self.recordings if not r.problem]
        identity = repr(("headers of sound", 1, most, [(str(r.path.absolute()), *_stat(r.path)) for r in wanted]))
        for recording, found in zip(wanted, remembered(self.settings, identity, find), strict=True):
            if isinstance(found, str):
                recording.problem = found
            else:
                recording.head = files.Header(*found)

    def describe(self) -> list[Fact]:
        """Files, lengths, rates, channels, pieces, transcripts and mels."""
        good, bad = ([r for r in self.recordings if bool(r.problem) == bad] for bad in (False, True))
        facts = facts_of_files([r.path.suffix.lower() for r in good], [r.head for r in good], self.rate)
        if bad:
            facts.insert(1, Fact("unreadable", f"{len(bad):,}, e.g. {bad[0].path}: {bad[0].problem}"))
        if len(self.pieces) != len(self.recordings):
            facts.append(Fact("samples", f"{len(self.pieces):,} pieces of at most {self.settings.piece_seconds:g} s"))
        short, done = self.info["short"].split()
        if short != "0":
            facts.append(Fact("short", f"{short} shorter than a segment of {self.settings.segment} samples, {done}"))
        if self._text:
            facts.append(fact_of_texts([r.text for r in good], self._columns))
        return [*facts, *(self.mels.describe() if self.mels else ())]

    def _one_rate(self, good: Iterable[Recording]) -> int:
        counts, first = Counter[int](), {}
        for recording in good:
            counts[recording.head.rate] += 1
            first.setdefault(recording.head.rate, recording.path)
        if len(counts) > 1:
            (one, _), (two, _) = counts.most_common(2)
            raise DataError(
                f"recordings differ in sample rate: {counted(counts, ' Hz')} ({first[one]} has {one} Hz, {first[two]} has {two} Hz); "
                f"set one for all, e.g. --data.sample_rate {one}"
            )
        return next(iter(counts))

    def _cut(self, index: int, head: files.Header, rate: int) -> list[Piece]:
        """Pieces of about the same length, at most ``piece_seconds``, that begin on samples (with mels: frames) of ``rate``."""
        unit = files.grid(head.rate, rate)
        if self.mels:
            hop, samples = self.settings.hop_length, files.grid(rate, head.rate)
            unit *= hop // np.gcd(hop, samples)
        most = max(1, int(self.settings.piece_seconds * head.rate / unit))
        total = -(-head.frames // unit)
        count = -(-total // most)
        edges = [total * k // count * unit for k in range(count)] + [head.frames]
        return [Piece(index, a, b - a) for a, b in pairwise(edges)]

    def __len__(self) -> int:
        return len(self.pieces)

    def name(self, index: int) -> str:
        """The file, and where in it."""
        piece = self.pieces[index]
        recording = self.recordings[piece.recording]
        if piece.frames == recording.head.frames:
            return str(recording.path)
        rate = recording.head.rate
        return f"{recording.path} from {piece.start / rate:.1f} to {(piece.start + piece.frames) / rate:.1f} s"

    def fingerprint(self) -> str:
        """Paths, sizes and modification times of all files and mels, transcripts, and the settings."""
        s = self.settings
        stats = [(r.name, *_stat(r.path), r.text, r.problem) for r in self.recordings]
        facts = (s.short, s.piece_seconds, s.normalize, s.trim, s.max_channels)
        return self._fingerprint(facts, stats, self.mels and self.mels.identity())

    def decode(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of one piece; `DataError` says what is wrong with what `name` gives."""
        piece = self.pieces[index]
        recording, rate = self.recordings[piece.recording], self.info["sample_rate"]
        if recording.problem:
            raise DataError(recording.problem)
        waveform, _ = files.read(recording.path, piece.start, piece.frames, rate, self.settings.max_channels)
        whole = piece.frames == recording.head.frames
        arrays = {"waveform": self._int16(self._treated(waveform, recording, piece, rate))}
        if self._text:
            # A transcript says the whole recording; a part of one has none.
            arrays["text"] = np.frombuffer(recording.text.encode() if whole else b"", np.uint8)
        if self.mels:
            begin = -(-piece.start * rate // recording.head.rate)
            samples = -(-recording.head.frames * rate // recording.head.rate)
            arrays["mel"] = self.mels.read(recording.name, samples, rate, begin, len(waveform))
        return arrays

    def _treated(self, waveform: np.ndarray, recording: Recording, piece: Piece, rate: int) -> np.ndarray:
        """(T,) trimmed and brought to its peak, both by what the whole file holds."""
        if self.settings.trim == 0 and self.settings.normalize == "none":
            return waveform
        with recording.lock:
            if recording.envelope is None:
                recording.envelope = envelope(recording.path, self.settings.trim, self.settings.max_channels)
        peak, begin, end = recording.envelope
        if self.settings.trim:
            own = recording.head.rate
            first, last = (max(0, at - piece.start) * rate // own for at in (begin, end))
            waveform = waveform[first:last]
        if self.settings.normalize == "peak" and peak >= SILENT:
            waveform = waveform * np.float32(PEAK / peak)
        return waveform


def envelope(path: Path, trim: float, max_channels: int) -> Envelope:
    """The peak of a file, and its first and last 10 ms within ``trim`` dB of the peak; memory for the peaks alone."""
    step = max(1, files.header(path, max_channels).rate // 100)
    peaks, frames = [], 0
    for block in files.blocks(path, 1000 * step, max_channels):
        frames += len(block)
        loud = np.abs(np.pad(block, (0, -len(block) % step)))
        peaks.append(loud.reshape(-1, step).max(axis=1))
    found = np.concatenate(peaks) if peaks else np.zeros(1, np.float32)
    peak = float(found.max())
    loud = np.flatnonzero(found >= peak * 10 ** (-trim / 20))
    return Envelope(peak, int(loud[0]) * step, min(frames, (int(loud[-1]) + 1) * step))


def _stat(path: Path) -> tuple[int, int]:
    """Size and modification time; what is not there has none."""
    try:
        stat = path.stat()
    except OSError:
        return -1, 0
    return stat.st_size, stat.st_mtime_ns
