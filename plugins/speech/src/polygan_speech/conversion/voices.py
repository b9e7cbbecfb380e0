"""Facts of voices: the mean and deviation of log-mels and of log-F0, by speaker, found in the training recordings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .frames import log_mels
from .pitch import pitch_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from polygan import Split
    from polygan_audio.networks.melspec import MelSpec

MOST_CLIPS, MOST_SECONDS = 400, 30.0
"""Clips a speaker, and seconds of a clip, that are looked at."""
_PITCH, _SPREAD = math.log(150.0), 0.25  # ln Hz, of a speaker without voiced frames
_LEAST_DEVIATION, _LEAST_SPREAD = 0.1, 0.05
_LEAST_VOICED = 20  # frames
_NAMES = ("mel_mean", "mel_deviation", "pitch_mean", "pitch_deviation")

Fact = dict[str, Any]
"""What is known of one speaker, by the names of `Voices`."""


@dataclass(frozen=True)
class Voices:
    """What is known of ``n`` speakers."""

    mel_mean: Tensor
    """Mean log-mel (n, n_mels)."""
    mel_deviation: Tensor
    """Deviation of the log-mel (n, n_mels), above 0."""
    pitch_mean: Tensor
    """Mean of ln F0 in Hz (n,), over voiced frames."""
    pitch_deviation: Tensor
    """Deviation of ln F0 (n,), above 0."""

    @classmethod
    def of_info(cls, info: Mapping[str, Any], spec: MelSpec, speakers: Sequence[str]) -> Voices:
        """The facts that `survey` found; plain numbers where there are none yet, as before the data is decoded."""
        found: Mapping[str, Fact] = info.get("voices") or {}
        facts = [found.get(name) or _unknown(spec) for name in speakers]
        return cls(*(torch.tensor([fact[name] for fact in facts], dtype=torch.float32) for name in _NAMES))

    @property
    def together(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation (n_mels,) of all speakers' log-mels, each speaker counted alike."""
        mean = self.mel_mean.mean(0)
        return mean, (self.mel_deviation.square() + (self.mel_mean - mean).square()).mean(0).sqrt()


def survey(spec: MelSpec, split: Split, speakers: Sequence[str]) -> dict[str, Any]:
    """``voices``: the facts of `Voices` by the speaker's name, as plain numbers, from at most 400 clips of each."""
    labels = split.store.gather("label", split.rows).numpy()
    of_one = (_of_speaker(spec, split, split.rows[labels == i][:MOST_CLIPS]) for i in range(len(speakers)))
    return {"voices": dict(zip(speakers, of_one, strict=True))}


def _unknown(spec: MelSpec) -> Fact:
    """What is taken for a speaker of whom nothing is known."""
    return dict(zip(_NAMES, ([spec.silence / 2] * spec.n_mels, [2.0] * spec.n_mels, _PITCH, _SPREAD), strict=True))


def _of_speaker(spec: MelSpec, split: Split, rows: np.ndarray) -> Fact:
    """The facts of the clips of one speaker."""
    count, total, squares = 0, np.zeros(spec.n_mels), np.zeros(spec.n_mels)
    voiced: list[np.ndarray] = [np.zeros(0)]
    for row in rows.tolist():
        clip = split.store.item("waveform", row)[: round(MOST_SECONDS * spec.sample_rate)]
        waveform = torch.from_numpy(clip.astype(np.float32) / 32768)[None]
        frames = waveform.shape[1] // spec.hop_length
        if not frames:
            continue
        mel = log_mels(spec, waveform)[0, :, :frames].double().numpy()
        count, total, squares = count + frames, total + mel.sum(1), squares + np.square(mel).sum(1)
        pitch = pitch_of(waveform, spec, torch.arange(frames)[None])[0].double().numpy()
        voiced.append(np.log(pitch[pitch > 0]))
    found, pitches = _unknown(spec), np.concatenate(voiced)
    if count:
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - np.square(mean), _LEAST_DEVIATION**2))
        found |= {"mel_mean": np.round(mean, 5).tolist(), "mel_deviation": np.round(deviation, 5).tolist()}
    if len(pitches) >= _LEAST_VOICED:
        spread = max(_LEAST_SPREAD, float(pitches.std()))
        found |= {"pitch_mean": round(float(pitches.mean()), 5), "pitch_deviation": round(spread, 5)}
    return found
