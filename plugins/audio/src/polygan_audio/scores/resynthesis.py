"""Held-out recordings beside their re-syntheses: by the networks, and by Griffin and Lim from the same mels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable
from weakref import ref

import torch

from polygan import ConfigError, DataError, Samples

from ..data.facts import AudioExtra, extra_of
from ..networks.griffinlim import griffin_lim, invertible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from polygan import Evaluation

    from ..networks.melspec import MelSpec

MOST_SECONDS = 300.0
"""Of recordings that are compared at most, which bounds memory and time."""
LEAST_SAMPLES = 2048
"""Shorter clips are left out: the longest window of the scores."""
_AT_ONCE = 16

Waveforms = list["Tensor"]
T = TypeVar("T")


@runtime_checkable
class HasMel(Protocol):
    """A recipe that makes recordings anew from log-mels of one front end."""

    mel: MelSpec


@dataclass
class Recordings:
    """The first held-out clips, at most ``MOST_SECONDS`` of them together, and what a run's evaluations share."""

    spec: MelSpec
    samples: Samples
    """float32 (T_i,) in [-1, 1], on the CPU."""
    short: int
    """Clips left out because they have fewer than `LEAST_SAMPLES` or than the front end's padding needs."""

    def __post_init__(self) -> None:
        self._kept: dict[str, Any] = {}

    @property
    def rate(self) -> int:
        """Hz."""
        return extra_of(self.samples)["sample_rate"]

    @property
    def clips(self) -> Waveforms:
        """float32 (T_i,)."""
        return self.samples.data

    @property
    def texts(self) -> Sequence[str] | None:
        """Transcripts, one a clip, where the data has them."""
        return extra_of(self.samples).get("text")

    @cached_property
    def baseline(self) -> Waveforms | None:
        """Griffin-Lim of each clip's mel; None where the front end's windows do not overlap."""
        if not invertible(self.spec):
            return None
        mels = extra_of(self.samples).get("mel") or [self.spec(clip) for clip in self.clips]
        return [griffin_lim(self.spec, mel, len(clip)) for mel, clip in zip(mels, self.clips, strict=True)]

    def once(self, name: str, compute: Callable[[], T]) -> T:
        """``compute()``, or what it gave under this name in an earlier evaluation."""
        if name not in self._kept:
            self._kept[name] = compute()
        return self._kept[name]


@dataclass
class Resynthesis:
    """Recordings and what the networks make of their mels."""

    recordings: Recordings
    fakes: Waveforms
    """float32 (T_i,) in [-1, 1] as they would be written, with the recordings' lengths; NaN is silence."""
    broken: int
    """Clips of them that had NaN or infinite samples."""

    @classmethod
    def of(cls, evaluation: Evaluation) -> Resynthesis:
        """The resynthesis of an evaluation, made once: all metrics look at the same.

        DataError for a recipe that is no vocoder, and where no held-out clip is long enough.
        """
        newest = evaluation.once("audio/resynthesis", _Newest)
        if newest.made is None or newest.evaluation is None or newest.evaluation() is not evaluation:
            newest.made = None  # the memory of an earlier evaluation is free before another is made
            newest.made, newest.evaluation = cls._make(evaluation), ref(evaluation)
        return newest.made

    @classmethod
    def _make(cls, evaluation: Evaluation) -> Resynthesis:
        recipe: object = evaluation.recipe
        if not isinstance(recipe, HasMel) or evaluation.recipe.given != evaluation.recipe.domain:
            raise DataError("the score is for vocoders, which make recordings anew from their mels (audio/vocos)")
        spec = recipe.mel
        # A run evaluates again and again: the recordings stay the same.
        recordings = evaluation.once(
            ("audio/recordings", evaluation.samples, spec), lambda: recordings_of(evaluation, spec)
        )
        made = evaluation.generate(len(recordings.clips), evaluation.seed, given=recordings.samples)
        lengths, wanted = ([len(clip) for clip in clips] for clips in (made.data, recordings.clips))
        if lengths != wanted:
            raise ConfigError(
                f"{type(recipe).__name__}.generate made clips of {lengths[:3]}... samples from {wanted[:3]}...; it is to "
                "keep the order, the number and the lengths"
            )
        broken = sum(not bool(clip.isfinite().all()) for clip in made.data)
        fakes = [clip.detach().cpu().float().nan_to_num(0, 0, 0).clamp(-1, 1) for clip in made.data]
        return cls(recordings, fakes, broken)


@dataclass
class _Newest:
    """The resynthesis of the newest evaluation of a run, whose networks learn between evaluations."""

    made: Resynthesis | None = None
    evaluation: ref[Evaluation] | None = None


def recordings_of(evaluation: Evaluation, spec: MelSpec) -> Recordings:
    """The first ``evaluation.samples`` held-out clips that are long enough, at most `MOST_SECONDS` together (one at least)."""
    split, least = evaluation.held_out, max(LEAST_SAMPLES, spec.pad + 1)
    clips: Waveforms = []
    texts: list[str] = []
    mels: list[Tensor] = []
    seconds, short, rate, rows = 0.0, 0, 0, split.rows[: evaluation.samples]

    def recordings() -> Recordings:
        extra = AudioExtra(sample_rate=rate)
        if texts:
            extra["text"] = texts
        if mels:
            extra["mel"] = mels
        return Recordings(spec, Samples(clips, evaluation.domain, extra=dict(extra)), short)

    for start in range(0, len(rows), _AT_ONCE):
        found = evaluation.domain.real(split, rows[start : start + _AT_ONCE])
        extra = extra_of(found)
        rate = extra["sample_rate"]
        for i, clip in enumerate(found.data):
            if len(clip) < least:
                short += 1
                continue
            seconds += len(clip) / rate
            if clips and seconds > MOST_SECONDS:
                return recordings()
            clips.append(torch.as_tensor(clip, dtype=torch.float32).cpu())
            texts += [*extra.get("text", ())][i : i + 1]
            mels += [*extra.get("mel", ())][i : i + 1]
    if not clips:
        raise DataError(
            f"of {len(rows)} held-out clips none has the {least} samples that scores need; raise --data.held_out"
        )
    return recordings()
