"""Held-out recordings beside what is made of them: by the networks, by Griffin and Lim, and by the networks that the run began with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from weakref import ref

import torch.nn.functional as F

from polygan import ConfigError, DataError

from .recordings import Recordings, Waveforms, least_samples, recordings_of

if TYPE_CHECKING:
    from torch import Tensor

    from polygan import Evaluation, Samples

    from ..networks.melspec import MelSpec


@runtime_checkable
class HasMel(Protocol):
    """A recipe that makes sound from something given, by way of log-mels of one front end.

    ``keeps_time = False`` says that clips do not keep the time of the recordings: speech from text, another voice.
    """

    mel: MelSpec


def keeps_time(recipe: object) -> bool:
    """Whether what a recipe makes lies sample by sample beside the recording. A recipe that does not say keeps the time."""
    return bool(getattr(recipe, "keeps_time", True))


@dataclass
class Resynthesis:
    """Recordings and what the networks make of them: of their mels, of their transcripts, or in another voice."""

    recordings: Recordings
    """What clips are made from."""
    fakes: Waveforms
    """float32 (T_i,) in [-1, 1] as they would be written; NaN is silence. Clips that are too short for scores end in silence."""
    broken: int
    """Clips of them that had NaN or infinite samples."""
    target: Recordings
    """Recordings of the voice that is made: ``recordings`` themselves, unless one voice is made into another."""
    start: Waveforms | None = None
    """What the networks that the run of a vocoder began with make of the same mels."""
    started_from: str = ""
    """The ``init_from`` of the run; empty: those networks are untrained."""
    vocoder: bool = False
    """Whether the networks only decode mels of the recordings, as Griffin-Lim does."""
    speakers: Tensor | None = None
    """The speaker that each made clip was to have, int64 (n,), where the data has speakers."""

    @property
    def converted(self) -> bool:
        """Whether one voice is made into another."""
        return self.target is not self.recordings

    def others(self) -> dict[str, Waveforms]:
        """What stands beside the made clips: ``griffin-lim`` and ``start``, as far as there are such."""
        found = {"griffin-lim": self.recordings.baseline, "start": self.start}
        return {name: clips for name, clips in found.items() if clips is not None}

    @classmethod
    def of(cls, evaluation: Evaluation, *, in_time: bool = False) -> Resynthesis:
        """The resynthesis of an evaluation, made once: all metrics look at the same.

        DataError as `check`, and where no held-out clip is long enough.
        """
        spec = cls.check(evaluation, in_time=in_time)
        newest = evaluation.once("audio/resynthesis", _Newest)
        if newest.made is None or newest.evaluation is None or newest.evaluation() is not evaluation:
            newest.made = None  # the memory of an earlier evaluation is free before another is made
            newest.made, newest.evaluation = cls._make(evaluation, spec), ref(evaluation)
        return newest.made

    @staticmethod
    def check(evaluation: Evaluation, *, in_time: bool = False) -> MelSpec:
        """The front end of a recipe that scores can look at, before anything is made.

        ``in_time``: the score compares sample by sample. DataError for a recipe that makes sound from noise, and for one that does
        not keep the time where the score needs it.
        """
        recipe: object = evaluation.recipe
        if not isinstance(recipe, HasMel) or evaluation.recipe.given is None:
            raise DataError(
                "the score is for vocoders and speech, which make sound from something given (audio/vocos); leave the score out, or "
                "take one for sound from noise: polygan list"
            )
        if in_time and not keeps_time(recipe):
            raise DataError(
                f"the score compares sample by sample, and what {type(recipe).__name__} makes does not keep the time of a recording; "
                "take audio/speaker, audio/mcd-dtw or audio/duration"
            )
        return recipe.mel

    @classmethod
    def _make(cls, evaluation: Evaluation, spec: MelSpec) -> Resynthesis:
        # A run evaluates again and again: the recordings stay the same.
        def kept(side: str) -> Recordings:
            key = ("audio/recordings", evaluation.samples, spec, side)
            return evaluation.once(key, lambda: recordings_of(evaluation, spec, side))

        sides = evaluation.sides
        recordings, target = (kept(sides.given), kept(sides.made)) if sides else (kept(""),) * 2
        made = evaluation.generate(len(recordings.clips), evaluation.seed, given=recordings.samples)
        _check_order(evaluation, made, recordings)
        speakers = recordings.samples.labels if made.labels is None else made.labels
        return cls(
            recordings,
            [_audible(clip, recordings) for clip in made.data],
            sum(not bool(clip.isfinite().all()) for clip in made.data),
            target,
            recordings.once("start", lambda: _of_start(evaluation, recordings)),
            evaluation.started_from,
            _decodes(evaluation),
            None if sides or speakers is None else speakers.cpu(),
        )


@dataclass
class _Newest:
    """The resynthesis of the newest evaluation of a run, whose networks learn between evaluations."""

    made: Resynthesis | None = None
    evaluation: ref[Evaluation] | None = None


def _check_order(evaluation: Evaluation, made: Samples, recordings: Recordings) -> None:
    """ConfigError where a recipe breaks the order, the number or (if it keeps the time) the lengths of what it is given."""
    lengths, wanted = ([len(clip) for clip in clips] for clips in (made.data, recordings.clips))
    timed = keeps_time(evaluation.recipe)
    if len(lengths) != len(wanted) or (timed and lengths != wanted):
        name, kept = type(evaluation.recipe).__name__, ", the number and the lengths" if timed else " and the number"
        raise ConfigError(
            f"{name}.generate made {len(lengths)} clips of {lengths[:3]}... samples from {len(wanted)} of {wanted[:3]}...; it is to "
            f"keep the order{kept}"
        )


def _audible(clip: Tensor, recordings: Recordings) -> Tensor:
    """A made clip as it would be written: (T,) float32 in [-1, 1] on the CPU, with silence behind one that is too short."""
    clip = clip.detach().cpu().float().nan_to_num(0, 0, 0).clamp(-1, 1)
    return F.pad(clip, (0, max(0, least_samples(recordings.spec) - len(clip))))


def _decodes(evaluation: Evaluation) -> bool:
    """Whether the recipe is a vocoder: it makes sound of recordings, and keeps their time."""
    recipe = evaluation.recipe
    return keeps_time(recipe) and recipe.given == recipe.domain


def _of_start(evaluation: Evaluation, recordings: Recordings) -> Waveforms | None:
    """What a vocoder makes with the weights that its run began with: what training adds is measured from here.

    None for recipes that are no vocoders, where there is nothing to train, and where nobody knows what the run began with.
    """
    if not _decodes(evaluation) or evaluation.start is None or (begun := evaluation.start()) is None:
        return None
    networks = {name: network.to(evaluation.device) for name, network in begun.items()}
    if not any([*network.parameters()] for network in networks.values()):
        return None
    made = evaluation.generate(len(recordings.clips), evaluation.seed, networks=networks, given=recordings.samples)
    return [_audible(clip, recordings) for clip in made.data]
