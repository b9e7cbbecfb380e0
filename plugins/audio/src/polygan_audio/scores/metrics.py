"""Scores of vocoders: held-out recordings against what the networks make of their mels, clip by clip.

Every score stands between two others: the recordings' own (the floor), and Griffin-Lim's from the same mels, which needs no
training. Scores are means over clips; those that a measure cannot take are left out and counted in the note.
"""

from __future__ import annotations

from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from polygan import DataError, Score

from ..optional import need
from . import measures, word_errors
from .resynthesis import Resynthesis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from polygan import Evaluation

    Measure = Callable[[Tensor, Tensor], float | None]


def _note(resynthesis: Resynthesis, refused: int = 0, more: str = "") -> str:
    """What a reader must know to compare a score with another."""
    r = resynthesis.recordings
    seconds = sum(map(len, r.clips)) / r.rate
    front = f"mel of {r.spec.n_mels} bands, {r.spec.n_fft}/{r.spec.hop_length}, padding {r.spec.padding}"
    parts = [f"{len(r.clips)} held-out clips, {seconds:.0f} s at {r.rate} Hz", front, more]
    parts += [f"{refused} clips could not be judged"] if refused else []
    parts += [f"{r.short} clips were too short"] if r.short else []
    return "; ".join(filter(None, parts))


def _broken(resynthesis: Resynthesis) -> str:
    return f"; {resynthesis.broken} made clips had NaN or infinite samples" if resynthesis.broken else ""


def _compared(
    evaluation: Evaluation, name: str, measure: Measure, better: str = "lower", more: str = ""
) -> list[Score]:
    """``measure(real, other)`` of the networks' clips and of Griffin-Lim's; the floor: of the recordings themselves."""
    resynthesis = Resynthesis.of(evaluation)
    recordings = resynthesis.recordings

    def values(others: Sequence[Tensor]) -> list[float | None]:
        found = (measure(real, other) for real, other in zip(recordings.clips, others, strict=True))
        return [v if v is not None and isfinite(v) else None for v in found]

    floor = _mean(name, recordings.once(f"{name} floor", lambda: values(recordings.clips)))
    found = values(resynthesis.fakes)
    made = [
        Score(
            name, _mean(name, found), floor, better, _note(resynthesis, found.count(None), more) + _broken(resynthesis)
        )
    ]
    if recordings.baseline is not None:
        usual = recordings.once(f"{name} baseline", lambda: values(recordings.baseline or ()))
        note = _note(resynthesis, usual.count(None), more)
        made.append(Score(f"{name}-of-griffin-lim", _mean(name, usual), floor, better, note))
    return made


def _mean(name: str, values: Sequence[float | None]) -> float:
    known = [v for v in values if v is not None]
    if not known:
        raise DataError(
            f"{name}: none of the {len(values)} clips could be judged: they are silent, or shorter than the measure needs"
        )
    return float(np.mean(known))


def mel_distance(evaluation: Evaluation) -> list[Score]:
    """``audio/mel-distance``: `measures.mel_distance` by the recipe's front end, in nats; the floor is 0."""
    spec = Resynthesis.of(evaluation).recordings.spec
    return _compared(evaluation, "audio/mel-distance", partial(measures.mel_distance, spec), more="natural logarithm")


def stft_distance(evaluation: Evaluation) -> list[Score]:
    """``audio/stft-distance``: `measures.stft_distance`, of three resolutions; the floor is 0."""
    return _compared(evaluation, "audio/stft-distance", measures.stft_distance)


def mcd(evaluation: Evaluation) -> list[Score]:
    """``audio/mcd``: `measures.mel_cepstral_distortion` by the recipe's front end, in dB; the floor is 0."""
    spec = Resynthesis.of(evaluation).recordings.spec
    more = f"dB, cepstra 1-{measures.COEFFICIENTS} of the natural-log mel, frames aligned as they are"
    return _compared(evaluation, "audio/mcd", partial(measures.mel_cepstral_distortion, spec), more=more)


def stoi(evaluation: Evaluation) -> list[Score]:
    """``audio/stoi``: `measures.stoi`; the floor is 1. ConfigError without pystoi."""
    need("pystoi", "metrics", "audio/stoi")
    rate = Resynthesis.of(evaluation).recordings.rate
    return _compared(evaluation, "audio/stoi", partial(measures.stoi, rate), "higher")


def pesq(evaluation: Evaluation) -> list[Score]:
    """``audio/pesq``: `measures.pesq`; the floor is the recordings' against themselves. ConfigError without pesq."""
    need("pesq", "metrics", "audio/pesq")
    rate = Resynthesis.of(evaluation).recordings.rate
    hertz, mode = measures.pesq_band(rate)
    more = f"{'wide' if mode == 'wb' else 'narrow'} band at {hertz} Hz"
    return _compared(evaluation, "audio/pesq", partial(measures.pesq, rate), "higher", more)


def dnsmos(evaluation: Evaluation) -> list[Score]:
    """``audio/dnsmos-ovrl``, ``-sig``, ``-bak``: `measures.DNSMOS`; the floor is the recordings' own score.

    ConfigError without speechmos and onnxruntime.
    """
    predict, resynthesis = measures.DNSMOS(), Resynthesis.of(evaluation)
    r = resynthesis.recordings

    def values(clips: Sequence[Tensor]) -> np.ndarray:
        return np.mean([predict(measures.resampled(clip, r.rate, 16_000)) for clip in clips], axis=0)  # (3,)

    floor, fakes = r.once("dnsmos floor", lambda: values(r.clips)), values(resynthesis.fakes)
    usual = None if r.baseline is None else r.once("dnsmos baseline", lambda: values(r.baseline or ()))
    note, made = _note(resynthesis, more="at 16000 Hz, means over clips; the floor is the recordings' own"), []
    for part in ("ovrl", "sig", "bak"):
        at, name = predict.names.index(part), f"audio/dnsmos-{part}"
        made.append(Score(name, float(fakes[at]), float(floor[at]), "higher", note + _broken(resynthesis)))
        if usual is not None:
            made.append(Score(f"{name}-of-griffin-lim", float(usual[at]), float(floor[at]), "higher", note))
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

    def kept(name: str, clips: Any) -> float:
        return r.once(f"wer {name}", lambda: rate(clips))

    floor = kept("floor", r.clips)
    total = sum(len(word_errors.words(text)) for text in texts)
    note = _note(
        resynthesis,
        more=f"{total} words of {len(texts)} clips with a transcript, pocketsphinx's English model at 16000 Hz; the floor is the recordings' own",
    )
    made = [Score("audio/wer", rate(resynthesis.fakes), floor, "lower", note + _broken(resynthesis))]
    if r.baseline is not None:
        made.append(Score("audio/wer-of-griffin-lim", kept("baseline", r.baseline), floor, "lower", note))
    return made
