"""Held-out recordings beside their re-syntheses: by the networks, and by Griffin and Lim from the same mels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from polygan import ConfigError, DataError, Samples

from .griffinlim import griffin_lim, invertible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from polygan import Evaluation

    from .melspec import MelSpec

MOST_SECONDS = 300.0
"""Of recordings that are compared at most, which bounds memory and time."""
LEAST_SAMPLES = 2048
"""Shorter clips are left out: the longest window of the scores."""
_AT_ONCE = 16

Waveforms = list["Tensor"]


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
        return self.samples.extra["sample_rate"]

    @property
    def clips(self) -> Waveforms:
        """float32 (T_i,)."""
        return self.samples.data

    @property
    def texts(self) -> Sequence[str] | None:
        """Transcripts, one a clip, where the data has them."""
        return self.samples.extra.get("text")

    @cached_property
    def baseline(self) -> Waveforms | None:
        """Griffin-Lim of each clip's mel; None where the front end's windows do not overlap."""
        if not invertible(self.spec):
            return None
        mels = self.samples.extra.get("mel") or [self.spec(clip) for clip in self.clips]
        return [griffin_lim(self.spec, mel, len(clip)) for mel, clip in zip(mels, self.clips, strict=True)]

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """``compute()``, or what it gave under this name in an earlier evaluation."""
        if name not in self._kept:
            self._kept[name] = compute()
        return self._kept[name]


@dataclass
class Pairs:
    """Recordings and what the networks make of their mels."""

    recordings: Recordings
    fakes: Waveforms
    """float32 (T_i,) in [-1, 1] as they would be written, with the recordings' lengths; NaN is silence."""
    broken: int
    """Clips of them that had NaN or infinite samples."""

    _last: ClassVar[tuple[object, Recordings] | None] = None

    @classmethod
    def of(cls, evaluation: Evaluation) -> Pairs:
        """The pairs of an evaluation, made once: all metrics look at the same. They live as long as the evaluation.

        DataError for a recipe that is no vocoder, and where no held-out clip is long enough.
        """
        shared = vars(evaluation)
        if "_pairs" not in shared:
            shared["_pairs"] = cls._make(evaluation)
        return shared["_pairs"]

    @classmethod
    def _make(cls, evaluation: Evaluation) -> Pairs:
        recipe: Any = evaluation.recipe
        spec = getattr(recipe, "mel", None)
        if recipe is None or spec is None or not recipe.translates:
            raise DataError("the score is for vocoders, which make recordings anew from their mels (audio/vocos)")
        held_out = evaluation.held_out
        key = held_out.store.key, np.asarray(held_out.rows).tobytes(), evaluation.count, spec
        if cls._last is None or cls._last[0] != key:  # a run evaluates again and again: the recordings stay the same
            cls._last = key, recordings_of(evaluation, spec)
        recordings = cls._last[1]
        made = recipe.sample(evaluation.networks, len(recordings.clips), evaluation.seed, None, recordings.samples)
        lengths, wanted = ([len(clip) for clip in clips] for clips in (made.data, recordings.clips))
        if lengths != wanted:
            raise ConfigError(
                f"{type(recipe).__name__}.translate made clips of {lengths[:3]}... samples from {wanted[:3]}...; it is to "
                "keep the order, the number and the lengths"
            )
        broken = sum(not bool(clip.isfinite().all()) for clip in made.data)
        fakes = [clip.detach().cpu().float().nan_to_num(0, 0, 0).clamp(-1, 1) for clip in made.data]
        return cls(recordings, fakes, broken)


def recordings_of(evaluation: Evaluation, spec: MelSpec) -> Recordings:
    """The first ``evaluation.count`` held-out clips that are long enough, at most `MOST_SECONDS` together (one at least)."""
    split, least = evaluation.held_out, max(LEAST_SAMPLES, spec.pad + 1)
    clips: Waveforms = []
    extra: dict[str, Any] = {}
    seconds, short, rows = 0.0, 0, split.rows[: evaluation.count]
    for start in range(0, len(rows), _AT_ONCE):
        found = evaluation.domain.real(split, rows[start : start + _AT_ONCE])
        rate = extra["sample_rate"] = found.extra["sample_rate"]
        for i, clip in enumerate(found.data):
            if len(clip) < least:
                short += 1
                continue
            seconds += len(clip) / rate
            if clips and seconds > MOST_SECONDS:
                return Recordings(spec, Samples(clips, evaluation.domain, extra=extra), short)
            clips.append(torch.as_tensor(clip, dtype=torch.float32).cpu())
            for name in ("text", "mel"):
                if found.extra.get(name):
                    extra.setdefault(name, []).append(found.extra[name][i])
    if not clips:
        raise DataError(
            f"of {len(rows)} held-out clips none has the {least} samples that scores need; raise --data.held_out"
        )
    return Recordings(spec, Samples(clips, evaluation.domain, extra=extra), short)
