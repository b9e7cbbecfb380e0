"""Griffin-Lim: magnitudes that have the mel, and sound that lies where the recording does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from polygan_audio.networks.griffinlim import griffin_lim, magnitudes_of
from polygan_audio.networks.melspec import resolve
from polygan_audio.scores import measures

RATE = 16_000
SPEC = resolve("hifigan", RATE)


def voice(seconds=1.5, seed=0, rate=RATE):
    """Something that measures of speech take for it: a buzz of gliding pitch through moving formants, in syllables."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    buzz = np.zeros_like(t)
    formant = 900 + 500 * np.sin(2 * np.pi * 2.3 * t + rng.uniform(0, 6))
    for k in range(1, 25):
        height = np.exp(-(((k * pitch - formant) / 400) ** 2)) + 0.3 * np.exp(-(((k * pitch - 2400) / 500) ** 2))
        buzz += height * np.sin(k * phase)
    envelope = np.clip(np.sin(2 * np.pi * 3.1 * t + rng.uniform(0, 6)), 0.0, 1) ** 0.5
    sound = buzz * envelope + 1e-3 * rng.normal(size=len(t))
    return torch.from_numpy(0.6 * sound / np.abs(sound).max()).float()


@pytest.mark.parametrize("preset", ["hifigan", "tacotron2", "vocos", "speecht5"])
def test_magnitudes_have_the_mel_that_they_were_made_from(preset):
    spec = resolve(preset, RATE)
    mel = spec(voice(0.5))
    found = magnitudes_of(spec, mel)
    bands = spec.filters() @ found
    again = bands.clamp(min=spec.floor)
    again = again.log() if spec.log == "ln" else again.log10()
    assert (found >= 0).all()
    loud = mel > mel.max() - (5 if spec.log == "ln" else 5 / math.log(10))
    assert (again - mel)[loud].abs().mean() < 0.02
    first = magnitudes_of(spec, mel, 0)
    wanted = mel.exp() if spec.log == "ln" else 10**mel
    assert (bands - wanted).norm() < 0.5 * (spec.filters() @ first - wanted).norm()


@pytest.mark.parametrize(
    "changes", [{}, {"padding": "center"}, {"n_fft": 1020, "hop_length": 252}, {"win_length": 800}]
)
@pytest.mark.parametrize("length", [8192, 8400])
def test_griffin_lim_lies_where_the_recording_does(changes, length):
    """The envelope, which a shift by half a hop would move: correlated best without a shift."""
    if changes.get("n_fft"):
        changes = {**changes, "win_length": changes["n_fft"]}
    spec = replace(SPEC, **changes)
    clip = voice(1.0)[:length].clone()
    clip[3000:3100] += 0.8 * torch.hann_window(100)  # something sharp
    made = griffin_lim(spec, spec(clip), length)
    assert made.shape == clip.shape
    assert made[-200:].abs().max() > 0.2 * clip[-200:].abs().max()  # the end is not cut off
    power = [torch.nn.functional.avg_pool1d(x.square()[None], 33, 1, 16)[0] for x in (clip, made)]
    power = [p - p.mean() for p in power]
    shifts = range(-192, 193, 32)
    fits = [float((power[0] * power[1].roll(s)).sum()) for s in shifts]
    assert abs(shifts[int(np.argmax(fits))]) <= 32
    assert measures.mel_distance(spec, clip, made) < 0.35
