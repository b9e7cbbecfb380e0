"""Facts of the recordings of a training split: mels by band, pitch by speaker, transcripts and their lengths."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from polygan import DataError

from .cepstra import cepstra_of, size_of
from .pitch import mel_of, pitch_of
from .text.languages import Languages
from .text.spelling import Kind, Spelling, spelling_facts, tables_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from polygan import Split
    from polygan_audio.networks.melspec import MelSpec

_LOGGER = logging.getLogger("polygan")
_SECONDS = 3600  # of recordings that mels and pitches are measured on
_SHOWN = 5  # clips that a message names


def speech_facts(split: Split, spec: MelSpec, kind: Kind, language: str) -> dict[str, Any]:
    """`spelling_facts` and `sound_facts` of a split, and which clips are too short for their transcripts.

    ``language``: one for all speakers, or one for each (`Languages`). ``frames_per_symbol``: the mean. ``unusable``: clips with more symbols than frames, or without a transcript, which training
    passes over. DataError where none is left.
    """
    texts = transcripts_of(split)
    languages = Languages(language, split.store.info.get("classes") or [""])
    numbers = [languages.of_speakers[label] for label in labels_of(split)]
    texts_in: dict[str, list[str]] = {name: [] for name in languages.known}
    for text, number in zip(texts, numbers, strict=True):
        texts_in[languages.known[number]].append(text)
    facts = spelling_facts(kind, texts_in)
    tables = tables_of(facts, languages.known)
    spelling = Spelling(kind, languages.known[0], facts)
    spellings = [spelling.of(name) for name in languages.known]
    said = [tables[number].get(text, text) for text, number in zip(texts, numbers, strict=True)]
    symbols = np.array([len(spelling.alphabet.encode(text)) + 2 for text in said])
    frames = np.array([spec.frames(len(split.store.item("waveform", int(row)))) for row in split.rows])
    usable = (symbols > 2) & (symbols <= frames)
    if not usable.any():
        raise DataError(
            "no clip can be learned from: every one has no transcript, or more symbols than frames; check the transcripts, or use a "
            f"smaller --model.hop_length than {spec.hop_length}"
        )
    _name_short([(t, int(s), int(f)) for t, s, f in zip(texts, symbols, frames, strict=True) if s > max(2, f)])
    return {
        **facts,
        **sound_facts(split, spec),
        "longest_text": max(len(spellings[n].written(text)) for text, n in zip(texts, numbers, strict=True)),
        "frames_per_symbol": round(float(frames[usable].sum() / symbols[usable].sum()), 4),
        "unusable": int((~usable).sum()),
    }


def _name_short(short: Sequence[tuple[str, int, int]]) -> None:
    if short:
        named = "; ".join(
            f"{text[:40]!r} ({symbols} symbols, {frames} frames)" for text, symbols, frames in short[:_SHOWN]
        )
        _LOGGER.warning(
            "%s with more symbols than frames teach nothing and are passed over: %s%s",
            f"{len(short):,} clip{'s' if len(short) > 1 else ''}",
            named,
            "; ..." if len(short) > _SHOWN else "",
        )


def transcripts_of(split: Split) -> list[str]:
    """The transcript of each clip of a split. DataError where there are none."""
    if "text" not in split.store.fields:
        raise DataError(
            "these recordings have no transcripts; give a folder with metadata.csv (id|text) and wavs/, as LJSpeech has"
        )
    return [split.store.item("text", int(row)).tobytes().decode() for row in split.rows]


def labels_of(split: Split) -> list[int]:
    """The number of each clip's speaker; 0 where there is one voice."""
    if "label" not in split.store.fields:
        return [0] * len(split)
    return split.store.gather("label", split.rows).tolist()


def sound_facts(split: Split, spec: MelSpec) -> dict[str, Any]:
    """``mel_mean`` and ``mel_deviation`` of each band, ``pitch_mean`` and ``pitch_deviation`` of ln Hz of each speaker.

    ``cepstrum_deviation``: that of each number of `cepstra_of` mels so normalised.

    An hour of recordings at most is measured, evenly spaced. A speaker without voiced frames has the numbers of all.
    """
    classes = split.store.info.get("classes") or [""]
    length = sum(len(split.store.item("waveform", int(row))) for row in split.rows) / spec.sample_rate
    step = max(1, round(length / _SECONDS))
    mels, bands = [], _Moments(spec.n_mels)
    pitches = [_Moments(1) for _ in [*classes, "all"]]
    for row, label in zip(split.rows[::step], labels_of(split)[::step], strict=True):
        waveform = torch.from_numpy(split.store.item("waveform", int(row)).astype(np.float32) / 32768)
        magnitudes = spec.magnitudes(F.pad(waveform, (0, spec.n_fft))[None])[..., : spec.frames(len(waveform))]
        mels.append(mel_of(spec, magnitudes)[0])
        bands.add(mels[-1])
        pitch, voiced = pitch_of(spec, magnitudes)
        for moments in (pitches[label], pitches[-1]):
            moments.add(pitch[voiced][None])
    mean, deviation = bands.result(0.0, 1.0)
    deviation = [max(0.1, d) for d in deviation]
    (middle,), (spread,) = pitches[-1].result(5.0, 0.25)
    speakers = [moments.result(middle, spread) for moments in pitches[:-1]]
    return {
        "mel_mean": mean,
        "mel_deviation": deviation,
        "cepstrum_deviation": _of_cepstra(mels, torch.tensor([mean, deviation])[..., None]),
        "pitch_mean": [m for (m,), _ in speakers],
        "pitch_deviation": [max(0.05, d) for _, (d,) in speakers],
    }


def _of_cepstra(mels: Sequence[Tensor], moments: Tensor) -> list[float]:
    """The deviation of each number of `cepstra_of` mels (n_mels, F) that are normalised by ``moments`` (2, n_mels, 1)."""
    mean, deviation = moments
    found = _Moments(size_of(len(mean)))
    for mel in mels:
        found.add(cepstra_of(((mel - mean) / deviation)[None])[0])
    return [max(1e-3, d) for d in found.result(0.0, 1.0)[1]]


class _Moments:
    """Sums of numbers and of their squares, in float64."""

    def __init__(self, rows: int) -> None:
        self.count, self.sums = 0, torch.zeros(2, rows, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Values (rows, n)."""
        values = values.double()
        self.count += values.shape[1]
        self.sums += torch.stack([values.sum(1), values.square().sum(1)])

    def result(self, mean: float, deviation: float) -> tuple[list[float], list[float]]:
        """The mean and deviation of each row; the given ones where there are fewer than ten numbers."""
        if self.count < 10:
            return [mean] * self.sums.shape[1], [deviation] * self.sums.shape[1]
        first, second = self.sums / self.count
        spread = (second - first.square()).clamp(min=0).sqrt()
        return [round(x, 6) for x in first.tolist()], [round(x, 6) for x in spread.tolist()]


def tensor_of(info: Mapping[str, Any], name: str, size: int, default: float) -> Tensor:
    """A fact that is a list of numbers, (size,) float32; ``default`` before the facts are known."""
    return torch.tensor([float(x) for x in info.get(name, [default] * size)])
