"""Held-out recordings that scores compare with, and what a run's evaluations share of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from polygan import DataError, Samples

from ..data.facts import extra_of
from ..networks.griffinlim import griffin_lim, invertible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from torch import Tensor

    from polygan import Evaluation, Split

    from ..networks.melspec import MelSpec

MOST_SECONDS = 300.0
"""Of recordings that are compared at most, which bounds memory and time."""
LEAST_SAMPLES = 2048
"""Shorter clips are left out: the longest window of the scores."""
_AT_ONCE = 16

Waveforms = list["Tensor"]
T = TypeVar("T")


@dataclass
class Recordings:
    """The first held-out clips, at most ``MOST_SECONDS`` of them together, and what a run's evaluations share."""

    spec: MelSpec
    samples: Samples
    """float32 (T_i,) in [-1, 1], on the CPU; with transcripts, mels and speakers where the data has them."""
    short: int
    """Clips left out because they have fewer than `LEAST_SAMPLES` or than the front end's padding needs."""
    untold: int = 0
    """Clips left out because they have no transcript, which the recipe makes speech from."""

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


def least_samples(spec: MelSpec) -> int:
    """Samples that scores need of a clip."""
    return max(LEAST_SAMPLES, spec.pad + 1)


def recordings_of(evaluation: Evaluation, spec: MelSpec, side: str = "") -> Recordings:
    """The first ``evaluation.samples`` held-out clips that are long enough, at most `MOST_SECONDS` together (one at least).

    ``side`` names a speaker; empty: all. Clips without a transcript are left out where speech is made from transcripts.
    """
    split, rows = _rows(evaluation, side)
    spoken = evaluation.recipe.given == evaluation.recipe.domain
    found, least = _Found(), least_samples(spec)
    for one in _singles(evaluation, split, rows):
        extra = extra_of(one)
        if len(one.data[0]) < least:
            found.short += 1
        elif not spoken and not "".join(extra.get("text", ())).strip():
            found.untold += 1
        elif not found.add(one):
            break
    if not found.clips:
        reason = f"has the {least} samples that scores need" if not found.untold else "has a transcript"
        remedy = (
            "raise --data.held_out" if not found.untold else "give metadata.csv with lines `name|text` beside wavs/"
        )
        raise DataError(f"of {len(rows)} held-out clips none {reason}; {remedy}")
    return Recordings(spec, found.samples(evaluation), found.short, found.untold)


def _rows(evaluation: Evaluation, side: str) -> tuple[Split, np.ndarray]:
    """The held-out split and the rows of a speaker in it, as many as the evaluation wants."""
    if not side:
        return evaluation.held_out, evaluation.held_out.rows[: evaluation.samples]
    split = evaluation.splits.get("held_out", evaluation.held_out)
    labels = split.store.gather("label", split.rows).numpy()
    return split, split.rows[labels == [*split.store.info["classes"]].index(side)][: evaluation.samples]


def _singles(evaluation: Evaluation, split: Split, rows: np.ndarray) -> Iterator[Samples]:
    """The recordings of rows one by one, read some at a time."""
    for start in range(0, len(rows), _AT_ONCE):
        some = evaluation.domain.real(split, rows[start : start + _AT_ONCE])
        origins = split.origins(rows[start : start + _AT_ONCE])
        for i, clip in enumerate(some.data):
            labels = None if some.labels is None else some.labels[i : i + 1]
            own = {name: _row(value, i, len(some)) for name, value in some.extra.items()}
            yield Samples([clip], labels=labels, classes=some.classes, origins=origins[i : i + 1], extra=own)


def _row(value: Any, row: int, count: int) -> Any:
    """A list of one value where there is one for each of ``count`` samples; a value of all samples as it is."""
    return [value[row]] if isinstance(value, list | tuple) and len(value) == count else value


class _Found:
    """Clips as they are gathered, with what goes along."""

    def __init__(self) -> None:
        self.clips: Waveforms = []
        self.parts: list[Samples] = []
        self.short = self.untold = 0
        self.seconds = 0.0

    def add(self, one: Samples) -> bool:
        """Take one clip; False, without taking the clip, where all clips together would be too long."""
        self.seconds += len(one.data[0]) / extra_of(one)["sample_rate"]
        if self.clips and self.seconds > MOST_SECONDS:
            return False
        self.clips.append(torch.as_tensor(one.data[0], dtype=torch.float32).cpu())
        self.parts.append(one)
        return True

    def samples(self, evaluation: Evaluation) -> Samples:
        """All clips together."""
        first, extra = self.parts[0], dict(self.parts[0].extra)
        for name, value in first.extra.items():
            if isinstance(value, list):
                extra[name] = [v for one in self.parts for v in one.extra[name]]
        labels = [one.labels for one in self.parts if one.labels is not None]
        joined = torch.cat(labels).cpu() if labels else None
        origins = [origin for one in self.parts for origin in one.origins]
        return Samples(self.clips, evaluation.domain, joined, first.classes, origins=origins, extra=extra)
