"""Scores of speech that need not keep the time of a recording: the voice, the spectra after alignment, the length, the sharpness."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from polygan import DataError, Score

from . import measures, speaker
from .resynthesis import Resynthesis
from .rows import mean, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from polygan import Evaluation

    from .recordings import Recordings


def mcd_dtw(evaluation: Evaluation) -> list[Score]:
    """``audio/mcd-dtw``: `measures.warped_distortion` by the recipe's front end, in dB; the floor is 0.

    DataError where one voice is made into another, because the other voice has no recording of the same words.
    """
    resynthesis = Resynthesis.of(evaluation)
    r = resynthesis.recordings
    if resynthesis.converted:
        raise DataError(
            "audio/mcd-dtw needs recordings of the same words by the voice that is made, which the data has not; take audio/speaker "
            "and audio/wer"
        )
    measure = partial(measures.warped_distortion, r.spec)

    def values(others: Sequence[Tensor]) -> list[float | None]:
        return [measure(real, other) for real, other in zip(r.clips, others, strict=True)]

    more = f"dB, cepstra 1-{measures.COEFFICIENTS} of the natural-log mel, frames aligned by dynamic time warping"
    return table(resynthesis, "audio/mcd-dtw", values, 0.0, more=more)


def duration(evaluation: Evaluation) -> list[Score]:
    """``audio/duration``: the mean of |ln(T' / T)| of the lengths of made and given clips, silence at the ends aside; floor 0.

    0.1 is 10 % too long or too short on average. The note has the ratio of all lengths together, exp(mean of ln(T' / T)).
    """
    resynthesis = Resynthesis.of(evaluation)
    r = resynthesis.recordings

    def signed(others: Sequence[Tensor]) -> list[float | None]:
        return [measures.log_duration(r.rate, real, other) for real, other in zip(r.clips, others, strict=True)]

    def values(others: Sequence[Tensor]) -> list[float | None]:
        return [None if v is None else abs(v) for v in signed(others)]

    more = f"mean |ln ratio|, ends below -{measures.SILENCE:g} dB cut"
    made, *others = table(resynthesis, "audio/duration", values, 0.0, more=more)
    ratio = math.exp(mean("audio/duration", signed(resynthesis.fakes)))
    return [replace(made, note=f"{made.note}; made clips last {ratio:.2f} times as long"), *others]


def sharpness(evaluation: Evaluation) -> list[Score]:
    """``audio/sharpness``: the mean `measures.curvature` of made clips over that of recordings of the same voice; the floor is 1.

    Near 1 is better: below 1 spectra are blurred, above 1 they are rougher than speech.
    """
    resynthesis = Resynthesis.of(evaluation)
    measure = partial(measures.curvature, resynthesis.recordings.spec)
    target = resynthesis.target
    usual = mean("audio/sharpness", target.once("curvature", lambda: [measure(clip) for clip in target.clips]))
    if not usual:
        raise DataError("audio/sharpness needs a front end of 3 bands or more; raise --model.n_mels")

    def values(clips: Sequence[Tensor]) -> list[float | None]:
        return [None if (value := measure(clip)) is None else value / usual for clip in clips]

    more = "mean |second difference over bands| of the natural-log mel, over that of recordings; 1 is as sharp"
    return table(resynthesis, "audio/sharpness", values, 1.0, "near", more)


def similarity(evaluation: Evaluation) -> list[Score]:
    """``audio/speaker``: cosine of a made clip's embedding and the mean of its speaker's recordings, up to 1.

    The recording that a clip was made from is left out of the mean; the floor leaves each recording out of its own mean. Where one
    voice is made into another, the mean is that of the other voice, and the baseline is the given recordings as they are.
    ConfigError without the weights of resemblyzer.
    """
    encoder = _encoder(evaluation)
    resynthesis = Resynthesis.of(evaluation)
    recordings, target = resynthesis.recordings, resynthesis.target
    voices, labels = _voices(encoder, target), _labels(target)
    apart = ~torch.eye(len(voices), dtype=torch.bool)
    own = (labels[:, None] == labels[None]) & apart  # (m, m)
    floor = _mean_or_refusal(speaker.similarities(voices, voices, own))
    baseline = None
    if resynthesis.converted:
        belongs = torch.ones(len(recordings.clips), len(voices), dtype=torch.bool)
        given = speaker.similarities(_voices(encoder, recordings), voices, belongs)
        baseline = (mean("audio/speaker", given), "the given recordings")
    else:
        asked = labels if resynthesis.speakers is None else resynthesis.speakers
        belongs = (asked[:, None] == labels[None]) & apart

    def values(clips: Sequence[Tensor]) -> list[float | None]:
        return speaker.similarities(encoder.embeddings(clips, recordings.rate), voices, belongs)

    more = "cosine of embeddings of 1.6 s by resemblyzer's weights, and the mean of the speaker's other recordings"
    return table(resynthesis, "audio/speaker", values, floor, "higher", more, baseline)


def similarity_to_source(evaluation: Evaluation) -> list[Score]:
    """``audio/speaker-of-source``: cosine of a made clip's embedding and the mean of the recordings of the voice that was given.

    Lower is better; the floor is that of recordings of the voice that is made. DataError where no voice is made into another.
    """
    resynthesis = Resynthesis.of(evaluation)
    if not resynthesis.converted:
        raise DataError(
            "audio/speaker-of-source is for recipes that make one voice into another (audio/voice-conversion); take audio/speaker"
        )
    encoder = _encoder(evaluation)
    recordings, target = resynthesis.recordings, resynthesis.target
    voices = _voices(encoder, recordings)

    def against(embeddings: Tensor) -> list[float | None]:
        return speaker.similarities(embeddings, voices, torch.ones(len(embeddings), len(voices), dtype=torch.bool))

    def values(clips: Sequence[Tensor]) -> list[float | None]:
        return against(encoder.embeddings(clips, recordings.rate))

    floor = mean("audio/speaker-of-source", against(_voices(encoder, target)))
    more = "cosine of embeddings of 1.6 s by resemblyzer's weights, and the mean of the given speaker's recordings"
    return table(resynthesis, "audio/speaker-of-source", values, floor, more=more)


def _encoder(evaluation: Evaluation) -> speaker.VoiceEncoder:
    """The network, loaded once a run."""
    path = speaker.weights_file()
    return evaluation.once(("audio/voice-encoder", path), lambda: speaker.load(path))


def _voices(encoder: speaker.VoiceEncoder, recordings: Recordings) -> Tensor:
    """The embeddings (m, 256) of recordings, made once a run."""
    return recordings.once("voices", lambda: encoder.embeddings(recordings.clips, recordings.rate))


def _labels(recordings: Recordings) -> Tensor:
    """The speaker of each recording, int64 (m,); one speaker where the data does not tell them apart."""
    labels = recordings.samples.labels
    return torch.zeros(len(recordings.clips), dtype=torch.long) if labels is None else labels


def _mean_or_refusal(values: Sequence[float | None]) -> float:
    """The mean of the known values. DataError where no speaker has two recordings."""
    known = [v for v in values if v is not None]
    if not known:
        raise DataError(
            "audio/speaker needs two held-out recordings of a speaker that are not silent; raise --data.held_out or --samples"
        )
    return float(np.mean(known))
