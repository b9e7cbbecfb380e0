"""Recordings that are files: cut into pieces, resampled, trimmed, with transcripts and given mels."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from polygan import DataError, Fact, Field, LeftOut, remembered

from . import files
from .base import SILENT, SoundSource
from .facts import SourceFacts, counted, fact_of_speakers, fact_of_texts, facts_of_files
from .findings import LOUD, PHASE, Findings, known
from .mels import GivenMels
from .recordings import Piece, envelope, key_of, stat_of, too_long, with_speakers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .recordings import Recording
    from .settings import AudioSettings

PEAK = 0.95
"""Peak of a file with ``normalize = "peak"``."""
FULL = 32767 / 32768
"""Peak of a file of floats beyond full scale."""


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
        self.settings, self._text, self._columns = settings, text, columns
        self._look_at_all(recordings)
        lost: list[LeftOut] = []
        if settings.speakers != "none":
            recordings, lost = with_speakers(recordings, settings.source)
        good = [r for r in recordings if not r.problem]
        if not good:
            first = recordings[0]
            raise DataError(
                f"none of the {len(recordings):,} recordings of {settings.source!r} can be read ({first.path}: {first.problem})"
            )
        self.rate = rate = settings.sample_rate or self._one_rate(good)
        self.mels = None
        if settings.mels:
            self.mels = GivenMels(settings, {r.name: -(-r.head.frames * rate // r.head.rate) for r in good}, rate)
            if self.mels.made:  # of what had no mel, `polygan generate` said why
                names = [r.name for r in good if r.name not in self.mels.paths]
                lost += self.mels.without(names)
                recordings = [r for r in recordings if r.problem or r.name in self.mels.paths]
                good = [r for r in recordings if not r.problem]
        self.recordings = recordings
        self.pieces, short, long = self._pieces(rate)
        self._too_long = len(long)
        self.left_out = [*left_out, *lost, *too_long(long, settings.longest_seconds)]
        kept = [(recordings[p.recording], p) for p in self.pieces if not recordings[p.recording].problem]
        if long and not kept:
            raise DataError(
                f"every clip of {settings.source!r} is longer than data.longest_seconds = {settings.longest_seconds:g}; raise "
                "--data.longest_seconds, or cut the recordings"
            )
        self._facts(good, kept, short)
        self._findings = Findings(len(self.pieces))
        self._refuse_empty(len(kept), rate)

    def _facts(self, good: Sequence[Recording], kept: Sequence[tuple[Recording, Piece]], short: int) -> None:
        """Set ``fields`` and ``info`` from the readable recordings and the pieces that become samples."""
        s, rate = self.settings, self.rate
        resampled, mixed = (sum(r.head.rate != rate for r in good), sum(r.head.channels > 1 for r in good))
        facts = SourceFacts(files=len(self.recordings), resampled=resampled, mixed_down=mixed)
        more = dict[str, Field]()
        if self._text:
            facts["without_text"] = sum(not r.text for r in good)
            more["text"] = Field("uint8", (None,))
        if self.mels:
            facts["n_mels"], facts["mel_hop"] = self.mels.n_mels, s.hop_length
            if s.mels_scale != "check":
                facts["mels_scale"] = s.mels_scale
            if self.mels.made:
                facts["mels_front_end"] = vars(self.mels.made.front_end)
            if any(self.mels.is_held_out(r.name) for r, _ in kept):
                more["held_out"] = Field("uint8", ())
            more["mel"] = Field("float32", (None, self.mels.n_mels))
        if s.speakers != "none":
            more["label"] = Field("int64", ())
        longest = max((int(-(-p.frames * rate // r.head.rate)) for r, p in kept), default=0)
        self._describe(s, rate, sum(r.head.seconds for r in good), short, facts, more, longest)
        if self._text:
            self.info["symbols"] = "".join(sorted({c for r, _ in kept for c in r.text}))
        if s.speakers != "none":
            self.info["classes"] = sorted({r.speaker for r, _ in kept})

    def _pieces(self, rate: int) -> tuple[list[Piece], int, list[Recording]]:
        """What becomes a sample; how many of the pieces are shorter than a segment; the recordings that are too long."""
        s, pieces, short, long = self.settings, list[Piece](), 0, list["Recording"]()
        # A transcript says a whole recording, and so does a parallel recording.
        whole = not s.segment and (self._text or bool(s.parallel))
        for i, recording in enumerate(self.recordings):
            if recording.problem:
                pieces.append(Piece(i, 0, 0))
            elif whole and recording.head.seconds > s.longest_seconds:
                long.append(recording)
            elif whole:
                pieces.append(Piece(i, 0, recording.head.frames))
            else:
                for piece in self._cut(i, recording.head, rate):
                    is_short = piece.frames * rate < s.segment * recording.head.rate
                    short += is_short
                    if not (is_short and s.short == "drop"):
                        pieces.append(piece)
        return pieces, short, long

    @property
    def _most_seconds(self) -> float:
        """Seconds of a piece at most."""
        s = self.settings
        return s.piece_seconds if s.segment else min(s.piece_seconds, s.longest_seconds)

    def _look_at_all(self, recordings: Sequence[Recording]) -> None:
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

        wanted = [r for r in recordings if not r.problem]
        identity = repr(("headers of sound", 2, most, [key_of(r) for r in wanted]))
        for recording, found in zip(wanted, remembered(self.settings, identity, find), strict=True):
            if isinstance(found, str):
                recording.problem = found
            else:
                rate, frames, channels, floats = found
                recording.head = files.Header(rate, frames, channels, bool(floats))

    def describe(self) -> list[Fact]:
        """Files, lengths, rates, channels, pieces, transcripts and mels."""
        good, bad = ([r for r in self.recordings if bool(r.problem) == bad] for bad in (False, True))
        facts = facts_of_files([r.path.suffix.lower() for r in good], [r.head for r in good], self.rate)
        if bad:
            facts.insert(1, Fact("unreadable", f"{len(bad):,}, e.g. {bad[0].path}: {bad[0].problem}"))
        if len(self.pieces) != len(self.recordings) - self._too_long:
            facts.append(Fact("samples", f"{len(self.pieces):,} pieces of at most {self._most_seconds:g} s"))
        short, done = self.info["short"].split()
        if short != "0":
            facts.append(Fact("short", f"{short} shorter than a segment of {self.settings.segment} samples, {done}"))
        if "label" in self.fields:
            owners = [(self.recordings[piece.recording], piece.frames) for piece in self.pieces]
            facts.append(fact_of_speakers([(r.speaker, n / r.head.rate) for r, n in owners if not r.problem]))
        if self._text:
            facts.append(fact_of_texts([r.text for r in good], self._columns))
        facts += known(self.settings, self.fingerprint())
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
        """Pieces of about the same length, not too long, that begin on samples (with mels: frames) of ``rate``."""
        unit = files.grid(head.rate, rate)
        if self.mels:
            hop, samples = self.settings.hop_length, files.grid(rate, head.rate)
            unit *= hop // np.gcd(hop, samples)
        most = max(1, int(self._most_seconds * head.rate / unit))
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
        stats = [(r.name, *stat_of(r.path), r.text, r.problem) for r in self.recordings]
        facts = (s.short, s.piece_seconds, s.normalize, s.trim, s.max_channels)
        # A store from before there were whole clips and speakers keeps its fingerprint.
        more = [] if s.segment else [self.pieces]
        more += [[r.speaker for r in self.recordings]] if "label" in self.fields else []
        # So does a store of sound that is decoded as before: no channels that could cancel each other out, no floats.
        more += (
            ["one channel of cancelled ones, floats to full scale"]
            if any(r.head.channels > 1 or r.head.floats for r in self.recordings)
            else []
        )
        return self._fingerprint(facts, stats, self.mels and self.mels.identity(), *more)

    def decode(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of one piece; `DataError` says what is wrong with what `name` gives."""
        piece = self.pieces[index]
        try:
            return self._decoded(self.recordings[piece.recording], piece, self.info["sample_rate"])
        finally:
            if self._findings.decoded(index):
                self._findings.tell()
                self._findings.keep(self.settings, self.fingerprint())

    def _decoded(self, recording: Recording, piece: Piece, rate: int) -> dict[str, np.ndarray]:
        if recording.problem:
            raise DataError(recording.problem)
        most = self.settings.max_channels
        if (channel := recording.heard(most)) != files.MEAN:
            self._findings.add(PHASE, recording.name)
        waveform, _ = files.read(recording.path, piece.start, piece.frames, rate, most, channel)
        whole = piece.frames == recording.head.frames
        waveform = self._treated(waveform, recording, piece, rate)
        self._findings.judge(recording.name, waveform, rate)
        arrays = {"waveform": self._int16(waveform)}
        if self._text:
            # A transcript says the whole recording; a part of one has none.
            arrays["text"] = np.frombuffer(recording.text.encode() if whole else b"", np.uint8).copy()
        if "label" in self.fields:
            arrays["label"] = np.asarray(self.info["classes"].index(recording.speaker), np.int64)
        if "held_out" in self.fields and self.mels:
            arrays["held_out"] = np.asarray(self.mels.is_held_out(recording.name), np.uint8)
        if self.mels:
            begin = -(-piece.start * rate // recording.head.rate)
            samples = -(-recording.head.frames * rate // recording.head.rate)
            arrays["mel"] = self.mels.read(recording.name, samples, rate, begin, len(waveform))
        return arrays

    def _treated(self, waveform: np.ndarray, recording: Recording, piece: Piece, rate: int) -> np.ndarray:
        """(T,) trimmed, brought to its peak, and within full scale, all by what the whole file holds."""
        s, floats = self.settings, recording.head.floats
        if s.trim == 0 and s.normalize == "none" and not floats:
            return waveform
        channel = recording.heard(s.max_channels)
        with recording.lock:
            if recording.envelope is None:
                recording.envelope = envelope(recording.path, s.trim, s.max_channels, channel)
        peak, begin, end = recording.envelope
        if self.settings.trim:
            own = recording.head.rate
            first, last = (max(0, at - piece.start) * rate // own for at in (begin, end))
            waveform = waveform[first:last]
        if self.settings.normalize == "peak" and peak >= SILENT:
            return waveform * np.float32(PEAK / peak)
        if floats and peak > 1:
            if self.mels:
                raise DataError(
                    f"reaches {peak:.2f}, beyond full scale, and its mel was made of that; make the recording quieter and its mel again"
                )
            self._findings.add(LOUD, recording.name, peak)
            return waveform * np.float32(FULL / peak)
        return waveform
