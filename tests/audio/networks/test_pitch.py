"""One tracker of pitch: waveforms and magnitudes agree, the settings hold, and shapes need no values."""

from __future__ import annotations

import math

import pytest
import torch

from polygan_audio.networks import melspec
from polygan_audio.networks.pitch import PitchTracker

RATE = 16_000
SPEC = melspec.resolve("hifigan", RATE)
TRACKER = PitchTracker(60.0, 450.0)


def tone(pitch, samples=8000):
    time = torch.arange(samples) / RATE
    return 0.1 * sum(torch.sin(2 * math.pi * k * pitch * time) / k for k in range(1, 9))


def cuts(waveform, tracker=TRACKER, length=480):
    return waveform.unfold(0, tracker.cut_size(length, RATE), 256)


@pytest.mark.parametrize("pitch", [75.0, 133.7, 310.0])
def test_waveforms_and_magnitudes_have_the_same_periods(pitch):
    of_waveform = TRACKER.in_cuts(cuts(tone(pitch)), 480, RATE)
    of_magnitudes = TRACKER.in_magnitudes(SPEC, SPEC.magnitudes(tone(pitch)[None]))
    assert of_waveform.voiced.all()
    assert of_magnitudes.voiced[0, 3:-3].all()
    assert (RATE / of_waveform.lag / pitch - 1).abs().max() < 0.005
    assert (RATE / of_magnitudes.lag[0, 3:-3] / pitch - 1).abs().max() < 0.005


def test_a_pitch_outside_the_range_is_not_found():
    narrow = PitchTracker(150.0, 250.0)
    found = narrow.in_cuts(cuts(tone(310.0), narrow), 480, RATE)  # an octave lower repeats too
    assert (RATE / found.lag - 155).abs().max() < 1
    assert not PitchTracker(400.0, 500.0).in_cuts(cuts(tone(310.0)), 480, RATE).voiced.any()


def test_a_higher_threshold_takes_fewer_frames_for_voiced():
    noisy = tone(200.0) + 0.1 * torch.randn(8000, generator=torch.Generator().manual_seed(0))
    easy, strict = (PitchTracker(60.0, 450.0, voiced=v).in_cuts(cuts(noisy), 480, RATE).voiced for v in (0.3, 0.9))
    assert easy.all()
    assert not strict.any()


def test_no_value_is_read():
    assert TRACKER.in_cuts(torch.zeros(3, 800, device="meta"), 480, RATE).lag.shape == (3,)
    magnitudes = torch.zeros(2, SPEC.n_fft // 2 + 1, 7, device="meta")
    assert TRACKER.in_magnitudes(SPEC, magnitudes).voiced.shape == (2, 7)
