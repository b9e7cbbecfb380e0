"""Scores of what networks make of held-out recordings, clip by clip.

Every score stands between others: the recordings' own (the floor), Griffin-Lim's from the same mels, which needs no training, and
for a vocoder that of the networks that its run began with. Scores are means over clips; those that a measure cannot take are left out and
counted in the note. `speech` has the scores of speech that does not keep the time of a recording.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from polygan import DataError, Score

from ..optional import need
from . import measures, word_errors
from .resynthesis import Resynthesis
from .rows import behind, counted, judged, mean, note, own, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from polygan import Evaluation

    Measure = Callable[[Tensor, Tensor], float | None]


def _compared(
    resynthesis: Resynthesis, name: str, measure: Measure, better: str = "lower", more: str = ""
) -> list[Score]:
    """``measure(real, other)`` of the networks' clips and of others; the floor: of the recordings themselves."""
    recordings = resynthesis.recordings

    def values(others: Sequence[Tensor]) -> list[float | None]:
        return [measure(real, other) for real, other in zip(recordings.clips, others, strict=True)]

    floor = mean(name, recordings.once(f"{name} floor", lambda: values(recordings.clips)))
    return table(resynthesis, name, values, floor, better, more, trouble=None)


def mel_distance(evaluation: Evaluation) -> list[Score]:
    """``audio/mel-distance``: `measures.mel_distance` by the recipe's front end, in nats; the floor is 0."""
    resynthesis = Resynthesis.of(evaluation, in_time=True)
    measure = partial(measures.mel_distance, resynthesis.recordings.spec)
    return _compared(resynthesis, "audio/mel-distance", measure, more="natural logarithm")


def stft_distance(evaluation: Evaluation) -> list[Score]:
    """``audio/stft-distance``: `measures.stft_distance`, of three resolutions; the floor is 0."""
    resynthesis = Resynthesis.of(evaluation, in_time=True)
    return _compared(resynthesis, "audio/stft-distance", measures.stft_distance)


def mcd(evaluation: Evaluation) -> list[Score]:
    """``audio/mcd``: `measures.mel_cepstral_distortion` by the recipe's front end, in dB; the floor is 0."""
    resynthesis = Resynthesis.of(evaluation, in_time=True)
    measure = partial(measures.mel_cepstral_distortion, resynthesis.recordings.spec)
    more = f"dB, cepstra 1-{measures.COEFFICIENTS} of the natural-log mel, frames aligned as they are"
    return _compared(resynthesis, "audio/mcd", measure, more=more)


def stoi(evaluation: Evaluation) -> list[Score]:
    """``audio/stoi``: `measures.stoi`; the floor is 1. ConfigError without pystoi."""
    Resynthesis.check(evaluation, in_time=True)
    need("pystoi", "metrics", "audio/stoi")
    resynthesis = Resynthesis.of(evaluation, in_time=True)
    return _compared(resynthesis, "audio/stoi", partial(measures.stoi, resynthesis.recordings.rate), "higher")


def pesq(evaluation: Evaluation) -> list[Score]:
    """``audio/pesq``: `measures.pesq`; the floor is the recordings' against themselves. ConfigError without pesq."""
    Resynthesis.check(evaluation, in_time=True)
    need("pesq", "metrics", "audio/pesq")
    resynthesis = Resynthesis.of(evaluation, in_time=True)
    rate = resynthesis.recordings.rate
    hertz, mode = measures.pesq_band(rate)
    more = f"{'wide' if mode == 'wb' else 'narrow'} band at {hertz} Hz"
    return _compared(resynthesis, "audio/pesq", partial(measures.pesq, rate), "higher", more)


def dnsmos(evaluation: Evaluation) -> list[Score]:
    """``audio/dnsmos-ovrl``, ``-sig``, ``-bak``: `measures.DNSMOS`; the floor is the recordings' own score.

    ConfigError without speechmos and onnxruntime.
    """
    predict, resynthesis = measures.DNSMOS(), Resynthesis.of(evaluation)
    target, rate = resynthesis.target, resynthesis.recordings.rate

    def values(clips: Sequence[Tensor]) -> np.ndarray:
        return np.stack([predict(measures.resampled(clip, rate, 16_000)) for clip in clips])  # (clips, 3)

    floor = target.once("dnsmos floor", lambda: values(target.clips)).mean(0)
    found = judged(resynthesis, "dnsmos", values)
    said, made = note(resynthesis, more="at 16000 Hz, means over clips; the floor is the recordings' own"), []
    for part in ("ovrl", "sig", "bak"):
        at, name = predict.names.index(part), f"audio/dnsmos-{part}"
        others = {kind: scores[:, at].tolist() for kind, scores in found.items() if kind and resynthesis.vocoder}
        trouble = behind(found[""][:, at].tolist(), others, "higher", resynthesis.started_from)
        for kind, scores in found.items():
            title, wrong = (f"{name}-of-{kind}", "") if kind else (name, trouble)
            remark = said + own(resynthesis, kind)
            made.append(Score(title, float(scores[:, at].mean()), float(floor[at]), "higher", remark, trouble=wrong))
    return made


def wer(evaluation: Evaluation) -> list[Score]:
    """``audio/wer``: `word_errors.error_rate` of what a recogniser hears; the floor is that of the recordings.

    DataError without transcripts, ConfigError without pocketsphinx.
    """
    need("pocketsphinx", "words", "audio/wer")
    resynthesis = Resynthesis.of(evaluation)
    r = resynthesis.recordings
    told = [
        i for i, text in enumerate(r.texts or ()) if word_errors.words(text)
    ]  # a part of a recording has no transcript
    texts = [(r.texts or ())[i] for i in told]
    if not texts:
        raise DataError(
            "audio/wer needs transcripts, which the data has not: give metadata.csv with lines `name|text` beside wavs/ (the "
            "LJSpeech layout)"
        )

    def rate(clips: Sequence[Tensor]) -> float:
        return word_errors.error_rate(texts, word_errors.recognise([clips[i] for i in told], r.rate))

    floor = r.once("wer floor", lambda: rate(r.clips))
    total = sum(len(word_errors.words(text)) for text in texts)
    said = note(
        resynthesis,
        more=f"{total} words of {counted(len(texts))} with a transcript, pocketsphinx's English model at 16000 Hz; the floor is the recordings' own",
    )
    made = []
    for kind, value in judged(resynthesis, "wer", rate).items():
        title = f"audio/wer-of-{kind}" if kind else "audio/wer"
        made.append(Score(title, value, floor, "lower", said + own(resynthesis, kind)))
    return made
