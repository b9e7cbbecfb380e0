"""The pitch of known tones, and which frames are voiced."""

from __future__ import annotations

import math

import pytest
import torch

from polygan_audio.networks import melspec
from polygan_speech.pitch import mel_of, pitch_of

SPEC = melspec.resolve("hifigan", 16_000)


def tone(pitch, seconds=0.5, harmonics=8):
    time = torch.arange(round(seconds * 16_000)) / 16_000
    return 0.1 * sum(torch.sin(2 * math.pi * k * pitch * time) / k for k in range(1, harmonics + 1))


@pytest.mark.parametrize("pitch", [75.0, 110.0, 203.7, 310.0, 420.0])
def test_tones_have_their_pitch(pitch):
    found, voiced = pitch_of(SPEC, SPEC.magnitudes(tone(pitch)[None]))
    assert voiced[0, 3:-3].all()
    assert found[0, 3:-3].exp().tolist() == pytest.approx([pitch] * (found.shape[1] - 6), rel=0.01)


def test_noise_and_silence_are_not_voiced():
    noise = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    assert pitch_of(SPEC, SPEC.magnitudes(0.1 * noise))[1].float().mean() < 0.1
    half = torch.cat([tone(150.0), torch.zeros(8000)])[None]
    voiced = pitch_of(SPEC, SPEC.magnitudes(half))[1][0]
    assert voiced[3:25].all()
    assert not voiced[36:].any()


def test_the_mel_is_that_of_the_front_end():
    waveform = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mel_of(SPEC, SPEC.magnitudes(waveform)), SPEC(waveform))
