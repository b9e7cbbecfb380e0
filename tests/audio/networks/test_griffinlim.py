"""Griffin-Lim: magnitudes that have the mel, and sound that lies where the recording does."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scores"))
from made_evaluations import RATE, SPEC, voice

from polygan_audio.networks.griffinlim import griffin_lim, magnitudes_of
from polygan_audio.networks.melspec import resolve
from polygan_audio.scores import measures


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
