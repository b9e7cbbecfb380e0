"""Scores of short sounds made from noise: as a whole, against copies, by the pitch and by the class that were asked for.

Each score has a floor, which held-out sounds reach by the same rule, and stands beside the trivial answer: random training sounds,
moved and louder or quieter. A recipe that learned its sounds by heart gives that answer: it scores well everywhere but in
``audio/nearest``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torchaudio.functional as AF

from polygan import DataError, Score

from ..shots.notes import hertz_of, notes_of, pitch_of
from .made_sounds import TRIVIAL, aligned, compared, features, log_mels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from polygan import Evaluation

    from .made_sounds import Compared, Sounds

_CENTS = 50
_BANDS = 40  # of the features that tell classes
_PICTURE, _HOP = 24, 128  # bands and samples a frame of pictures that are compared one by one
_SPREAD = 0.1  # nats, the least deviation that features are divided by


def feature_distance(evaluation: Evaluation) -> list[Score]:
    """``audio/feature-distance``: `frechet_distance` of `made_sounds.features` from those of training sounds, in nats squared.

    The distance depends on the number of sounds: made, held-out and trivial sounds are equally many.
    """
    c = compared(evaluation)
    real = features(c.train, c.rate)
    if len(real) < 2:
        raise DataError("audio/feature-distance needs two training sounds or more")
    value, floor, usual = (frechet_distance(features(s, c.rate), real) for s in (c.made, c.held_out, c.trivial))
    note = c.note("log-mel means of 12 bands over 4 stretches")
    return [Score("audio/feature-distance", value, floor, "lower", note, (usual, TRIVIAL))]


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """|mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^1/2) of features (n, d) and (m, d), n, m >= 2, in float64.

    Heusel et al. 2017 (arXiv:1706.08500), eq. 6.
    """
    a, b = a.double(), b.double()
    return float(AF.frechet_distance(a.mean(0), a.T.cov(), b.mean(0), b.T.cov()))


def nearest(evaluation: Evaluation) -> list[Score]:
    """``audio/nearest``: how far made sounds are from the nearest training sound, as a share of how far held-out sounds are.

    1: no nearer to what was learned from than new sounds are; sounds that are farther count as 1, since noise is far from everything.
    Near 0: copies. Sounds are compared from their beginnings, at one loudness.
    """
    c = compared(evaluation)

    def pictures(sounds: Sounds) -> Tensor:
        return log_mels(aligned(sounds), c.rate, _PICTURE, hop=_HOP)

    real = pictures(c.train)
    gaps = [float(gaps_to_nearest(pictures(s), real).median()) for s in (c.made, c.held_out, c.trivial)]
    if not gaps[1] > 0:
        raise DataError("audio/nearest has no measure: held-out sounds repeat training sounds; remove repeated files")
    note = c.note(
        f"medians of {gaps[0]:.2f} and, held out, {gaps[1]:.2f} nats; 0 is a copy, 1 is new, farther counts as 1"
    )
    value, usual = (min(1.0, gap / gaps[1]) for gap in (gaps[0], gaps[2]))
    return [Score("audio/nearest", value, 1.0, "higher", note, (usual, TRIVIAL))]


def gaps_to_nearest(mels: Tensor, real: Tensor) -> Tensor:
    """(n,) root-mean-square differences of log-mels (n, M, F) from the nearest of (m, M, F), at the best shift of a frame at most."""
    frames, mels, real = mels.shape[2], mels.double(), real.double()  # distances are found by products, which round
    most = min(frames - 1, 1)
    found = []
    for shift in range(-most, most + 1):
        a = mels[..., max(shift, 0) : frames + min(shift, 0)].flatten(1)
        b = real[..., max(-shift, 0) : frames + min(-shift, 0)].flatten(1)
        gaps = torch.cdist(a, b, compute_mode="use_mm_for_euclid_dist").amin(1)
        found.append(gaps / a.shape[1] ** 0.5)
    return torch.stack(found).amin(0)


def pitch(evaluation: Evaluation) -> list[Score]:
    """``audio/pitch``: share of sounds whose pitch (`shots.notes.pitch_of`) is within 50 cents of the note that was asked for.

    DataError where the classes are no notes.
    """
    c = compared(evaluation)
    notes = notes_of(c.classes)
    if not notes or c.made.labels is None:
        raise DataError("audio/pitch is for data whose classes are all notes (folders C4, F#3 or 60)")
    value, floor, usual = (in_tune(s, c.rate, notes) for s in (c.made, c.held_out, c.trivial))
    note = c.note(f"{len(notes)} notes; the first half second; within {_CENTS} cents")
    return [Score("audio/pitch", value, floor, "higher", note, (usual, TRIVIAL))]


def in_tune(sounds: Sounds, rate: int, notes: Sequence[int]) -> float:
    """The share of sounds with labels whose pitch is within 50 cents of the note of their class."""
    assert sounds.labels is not None
    low, high = hertz_of(min(notes) - 7), min(rate / 4, hertz_of(max(notes) + 7))
    right = 0
    for waveform, label in zip(sounds.waveforms, sounds.labels.tolist(), strict=True):
        found, wanted = pitch_of(waveform, rate, low, high), hertz_of(notes[label])
        right += found is not None and abs(1200 * torch.log2(torch.tensor(found / wanted))) <= _CENTS
    return int(right) / len(sounds)


def class_agreement(evaluation: Evaluation) -> list[Score]:
    """``audio/class-agreement``: share of sounds that `nearest_class` takes for the class that was asked for.

    DataError where there are no classes.
    """
    c = compared(evaluation)
    if len(c.classes) < 2 or any(s.labels is None for s in (c.train, c.held_out, c.made)):
        raise DataError(
            "audio/class-agreement is for data with classes (--data.speakers folders) and a recipe that takes them"
        )
    value, floor, usual = (_agreement(c, s) for s in (c.made, c.held_out, c.trivial))
    note = c.note(f"{len(c.classes)} classes; nearest class by log-mel means of {_BANDS} bands over 4 stretches")
    return [Score("audio/class-agreement", value, floor, "higher", note, (usual, TRIVIAL))]


def _agreement(c: Compared, sounds: Sounds) -> float:
    assert c.train.labels is not None
    assert sounds.labels is not None
    known = features(c.train, c.rate, _BANDS)
    found = nearest_class(features(sounds, c.rate, _BANDS), known, c.train.labels)
    return float((found == sounds.labels).double().mean())


def nearest_class(points: Tensor, known: Tensor, labels: Tensor) -> Tensor:
    """The class (n,) whose mean of ``known`` (m, d) with ``labels`` (m,) is nearest to ``points`` (n, d).

    Each feature is divided by its deviation within classes.
    """
    present = labels.unique()
    means = torch.stack([known[labels == label].mean(0) for label in present])
    places = torch.searchsorted(present, labels)
    spread = (known - means[places]).square().mean(0).sqrt().clamp(min=_SPREAD)
    return present[torch.cdist(points / spread, means / spread).argmin(1)]
