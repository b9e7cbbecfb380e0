"""What is wrong with made clips, in words: worse than what needs no training, bands that are missing, a constant offset, clipping."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from polygan import Score

from . import measures
from .resynthesis import Resynthesis
from .rows import mean, note, own, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from polygan import Evaluation

FAR = 10.0
"""Decibels: a band that is this much quieter or louder than the recordings' is a fault."""
HEARD = 60.0
"""Decibels below the whole sound: quieter bands are not named."""
OFFSET, CLIPPED = 0.01, 0.001
"""What the mean sample, and the share of samples at full scale, may be beyond the recordings'."""


def bands(evaluation: Evaluation) -> list[Score]:
    """``audio/bands``: mean absolute difference of `measures.band_levels`, in dB; the floor is 0.

    ``audio/bands-LOW-HIGH`` is the level of one band, from LOW to HIGH Hz, over all clips together, less the recordings'. The highest
    band ends at half the sample rate. Mel distance sees no frequency above the front end's highest band, and PESQ none above 8 kHz.
    """
    resynthesis = Resynthesis.of(evaluation, in_time=True)
    r = resynthesis.recordings
    levels = partial(measures.band_levels, r.rate)
    real = r.once("bands", lambda: [levels(clip) for clip in r.clips])

    def values(clips: Sequence[Tensor]) -> list[float | None]:
        return [float((levels(clip) - wanted).abs().mean()) for clip, wanted in zip(clips, real, strict=True)]

    edges = measures.band_edges(r.rate)
    more = f"dB, bands of an octave up to {edges[-1]:,.0f} Hz, levels above -{measures.QUIETEST:g} dB of full scale"
    wanted = _together(r.clips, r.rate)
    made = _together(resynthesis.fakes, r.rate)
    first, *others = table(resynthesis, "audio/bands", values, 0.0, more=more, trouble=_uneven(edges, made, wanted))
    more = "dB, the band's level less that of the recordings, all clips together"
    said = note(resynthesis, more=more) + own(resynthesis)
    each = [
        Score(f"audio/bands-{low:.0f}-{high:.0f}", float(gap), 0.0, "near", said)
        for (low, high), gap in zip(pairwise(edges), made - wanted, strict=True)
    ]
    return [first, *others, *each]


def _together(clips: Sequence[Tensor], rate: int) -> np.ndarray:
    """The levels in dB of the bands in all clips together, each clip as long as it is."""
    powers = [len(clip) * 10 ** (measures.band_levels(rate, clip) / 10) for clip in clips]
    return 10 * np.log10(torch.stack(powers).sum(0).numpy() / sum(map(len, clips)))


def _uneven(edges: Sequence[float], made: np.ndarray, wanted: np.ndarray) -> str:
    """Bands that are far quieter or far louder than the recordings', where either can be heard; neighbours share one range."""
    heard = [level > _whole(level) - HEARD for level in (wanted, made)]
    found: list[str] = []
    for where, word in ((heard[0] & (made < wanted - FAR), "below"), (heard[1] & (made > wanted + FAR), "above")):
        runs = np.flatnonzero(np.diff([False, *where, False])).reshape(-1, 2)
        for first, last in runs:
            gap = np.abs(made - wanted)[first:last].max()
            found.append(f"from {edges[first]:,.0f} to {edges[last]:,.0f} Hz up to {gap:.0f} dB {word} the recordings")
    if not found:
        return ""
    missing = (
        "nearly missing or far too loud"
        if len(found) > 1
        else "nearly missing"
        if "below" in found[0]
        else "far too loud"
    )
    return f"bands are {missing}: {'; '.join(found)}"


def _whole(levels: np.ndarray) -> float:
    """The level in dB of all bands together."""
    return 10 * math.log10(np.sum(10 ** (levels / 10)))


def offset(evaluation: Evaluation) -> list[Score]:
    """``audio/dc``: mean absolute value of each clip's mean sample, as a share of full scale; the floor is that of the recordings."""
    more = "mean sample of a clip, as a share of full scale"
    return _alone(evaluation, "audio/dc", lambda clip: abs(float(clip.mean())), OFFSET, "a constant offset", more)


def clipping(evaluation: Evaluation) -> list[Score]:
    """``audio/clipping``: share of samples at full scale (`measures.FULL_SCALE`) or beyond; the floor is that of the recordings."""

    def share(clip: Tensor) -> float:
        return float((clip.abs() >= measures.FULL_SCALE).float().mean())

    more = "share of samples at full scale or beyond"
    return _alone(evaluation, "audio/clipping", share, CLIPPED, "samples are clipped at full scale", more)


def _alone(
    evaluation: Evaluation, name: str, measure: measures.Single, allowed: float, what: str, more: str
) -> list[Score]:
    """Scores of a measure of single clips, with words where made clips are beyond the recordings by more than ``allowed``."""
    resynthesis = Resynthesis.of(evaluation, in_time=True)
    r = resynthesis.recordings

    def values(clips: Sequence[Tensor]) -> list[float]:
        return [measure(clip) for clip in clips]

    floor = mean(name, r.once(f"{name} floor", lambda: values(r.clips)))
    value = mean(name, values(resynthesis.fakes))
    trouble = f"{what} ({value:.2g}; recordings: {floor:.2g})" if value > floor + allowed else ""
    return table(resynthesis, name, values, floor, more=more, trouble=trouble)
