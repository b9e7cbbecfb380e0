"""A mel for each recording of a folder, made with the recording's prosody: what a vocoder is fine-tuned on (Kong et al. 2020, section 4.4)."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from polygan import ConfigError, DataError, PolyganError, Samples, evaluating, is_table, mix
from polygan_audio.data.domain import AudioDomain
from polygan_audio.data.saving_mels import check_mels_place, save_mels
from polygan_audio.data.settings import AudioSettings
from polygan_audio.data.sources import RecordingSource

from .speaking import speakers_of
from .teacher_forcing import Clip, TeacherForcing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from polygan import Run
    from polygan_audio.data.recordings import Recording

    from .speaking import Voice

_LOGGER = logging.getLogger("polygan")
_TOGETHER = 8  # clips that are made at a time
_NAMED = 3  # recordings that a message names


def write_mels(run: Run, voice: Voice, classes: Sequence[str], source: Path, out: str | Path, seed: int) -> list[Path]:
    """Make ``out/NAME.npy`` (n_mels, F) of each recording of ``source``, and ``out/mels.json``; returns the mels.

    Recordings are read as the run read its own, whole and at their own level, as training on ``data.mels`` reads them. One warning
    counts and names the recordings of which no mel is made. Recordings that the run held out are named in mels.json. ConfigError for
    recordings without transcripts, of unknown speakers, and for a run that learned from other levels; DataError where no mel is made.
    """
    check_mels_place(out)
    making, maker = _Making(run, voice, classes, source), f"{run.settings.recipe} at step {run.step}"
    with evaluating(run.networks):
        written = save_mels(making.mels(seed), out, maker, voice.spec, making.held_out)
    if not written:
        raise DataError(f"no mel could be made of the recordings of {source} ({making.left_out()})")
    if making.lost:
        _LOGGER.warning("polygan: no mel was made of %s (%s)", _counted(len(making.lost)), making.left_out())
    return written


class _Making:
    """The mels of a folder of recordings by a run."""

    def __init__(self, run: Run, voice: Voice, classes: Sequence[str], place: Path) -> None:
        self.run, self.voice, self.classes = run, voice, classes
        self.forcing = TeacherForcing(voice)
        self.lost: dict[str, str] = {}
        """Why there is no mel, by the name of the recording."""
        self.held_out: list[str] = []
        """The recordings, of those made so far, that the run did not train on."""
        settings = run.settings.data
        assert isinstance(settings, AudioSettings)
        if settings.normalize != "none":
            raise ConfigError(
                f"this run was trained with data.normalize = {settings.normalize}, and training on data.mels takes recordings at their own "
                "level; bring the files themselves to one level, and train on them"
            )
        if not is_table(str(place)) and not place.exists():
            raise DataError(f"input {str(place)!r} does not exist; name the folder of the recordings")
        # Of the settings of a data set, such as `tones`, those of a folder count.
        columns = () if is_table(str(place)) else ("audio_column", "text_column", "speaker_column")
        own = {f.name: "" if f.name in columns else getattr(settings, f.name) for f in fields(AudioSettings)}
        speakers = "none" if voice.options.speaker or len(classes) < 2 else settings.speakers
        whole = AudioSettings(
            **{
                **own, "source": str(place), "mels": "", "mels_normalised": (), "parallel": "", "segment": 0,
                "sample_rate": voice.spec.sample_rate, "speakers": speakers, "trim": 0.0,
            }
        )  # fmt: skip
        self.source = self.as_trained = self._opened(whole)
        if settings.trim:
            self.as_trained = self._opened(replace(whole, trim=settings.trim))
            _LOGGER.warning(
                "polygan: this run was trained with data.trim = %g; its mels here are of whole recordings, as training on data.mels "
                "reads them",
                settings.trim,
            )
        self.labels = self._labels()
        long = {*range(len(self.source.recordings))} - {piece.recording for piece in self.source.pieces}
        for number in sorted(long):
            self._lose(self.source.recordings[number], f"longer than {settings.longest_seconds:g} s")

    def _opened(self, settings: AudioSettings) -> RecordingSource:
        try:
            source = AudioDomain().open(settings)
        except DataError as error:
            if settings.speakers == "none":
                raise
            raise DataError(f"{error}, or name one voice for all with --speaker: {', '.join(self.classes)}") from None
        if not isinstance(source, RecordingSource) or "text" not in source.fields:
            raise ConfigError(
                f"{settings.source} holds no recordings with transcripts; name a folder with metadata.csv (id|text) and wavs/, as the run "
                "was trained on"
            )
        return source

    def _labels(self) -> list[int | None]:
        """The number that the model gives to each speaker of the source; one for all where the options or the model say so."""
        found = self.source.info.get("classes", [])
        if self.voice.options.speaker or len(self.classes) < 2 or not found:
            return speakers_of(Samples([""]), self.voice.options, self.classes)
        if unknown := [name for name in found if name not in self.classes]:
            raise ConfigError(
                f"the model has no voice of {', '.join(map(repr, unknown[:_NAMED]))}; leave these recordings out, or name one voice for all "
                f"with --speaker: {', '.join(self.classes)}"
            )
        return [self.classes.index(name) for name in found]

    def mels(self, seed: int) -> Iterator[tuple[str, Tensor]]:
        """The log-mel (n_mels, F) of each recording, by its name."""
        known = self._known()
        waiting: list[tuple[str, Clip]] = []
        total = len(self.source)
        for index in tqdm(range(total), "mels", disable=None, leave=False):
            recording = self.source.recordings[self.source.pieces[index].recording]
            if clip := self._clip(index, recording):
                waiting.append((recording.name, clip))
                if known and self._key_of(index) in known:
                    self.held_out.append(recording.name)
            if waiting and (len(waiting) == _TOGETHER or index == total - 1):
                names, clips = zip(*waiting, strict=True)
                made = self.forcing.mels(clips, mix(seed, index))
                yield from zip(names, (mel for mel, _ in made), strict=True)
                waiting = []

    def _clip(self, index: int, recording: Recording) -> Clip | None:
        try:
            found = self.source.decode(index)
        except (DataError, OSError, ValueError) as error:
            return self._lose(recording, str(error))
        label = self.labels[int(found.get("label", 0))]
        clip = Clip(recording.text, torch.from_numpy(found["waveform"].astype(np.float32) / 32768), label)
        if problem := self.forcing.problem(clip):
            return self._lose(recording, problem)
        return clip

    def _key_of(self, index: int) -> bytes:
        """A recording is known by its samples, as the run decoded them: its file may have another place and name by now."""
        try:
            return _key(self.as_trained.decode(index)["waveform"])
        except DataError:  # nothing is left when silence is cut: the run did not have it
            return b""

    def _lose(self, recording: Recording, why: str) -> None:
        self.lost[recording.name] = why

    def left_out(self) -> str:
        """The first recordings without a mel, with the reasons."""
        shown = [f"{name}: {why}" for name, why in [*self.lost.items()][:_NAMED]]
        return "; ".join([*shown, *(["..."] if len(self.lost) > _NAMED else [])])

    def _known(self) -> set[bytes]:
        """Checksums of the recordings that the run held out. A warning says so where its data cannot be opened."""
        try:
            split = self.run.splits()["held_out"]
        except PolyganError as error:
            _LOGGER.warning(
                "polygan: which recordings were held out from this model is not known, and a vocoder will hold out others: %s",
                error,
            )
            return set()
        return {_key(split.store.item("waveform", int(row))) for row in split.rows}


def _key(waveform: np.ndarray) -> bytes:
    """A checksum of samples int16 (T,)."""
    return hashlib.blake2b(np.ascontiguousarray(waveform).tobytes(), digest_size=16).digest()


def _counted(n: int) -> str:
    return "1 recording" if n == 1 else f"{n:,} recordings"
