"""The pitch of made-up voices, its conversion, and the harmonics that it draws."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import RATE, voice

from polygan_audio.networks.melspec import MelSpec
from polygan_speech.conversion.envelope import smooth_part
from polygan_speech.conversion.pitch import Harmonics, convert_pitch, pitch_of

SPEC = MelSpec(sample_rate=RATE, n_fft=512, win_length=512, hop_length=128, n_mels=60)


def test_the_pitch_of_voices_is_found_within_one_percent():
    for pitch in (75.0, 110.0, 133.7, 205.0, 310.0):
        found = pitch_of(voice(pitch, RATE)[None], SPEC, torch.arange(5, 55)[None])
        assert (found / pitch - 1).abs().max() < 0.01, pitch


def test_silence_and_noise_have_no_pitch():
    noise = 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    frames = torch.arange(60)[None]
    assert (pitch_of(torch.zeros(1, RATE), SPEC, frames) == 0).all()
    assert (pitch_of(1e-4 * voice(120.0, RATE)[None], SPEC, frames) == 0).all()
    assert (pitch_of(noise, SPEC, frames) == 0).float().mean() > 0.9


def test_a_glide_is_followed():
    time = torch.arange(2 * RATE) / RATE
    hertz = 100 + 50 * time
    phase = 2 * math.pi * hertz.cumsum(0) / RATE
    sound = 0.1 * sum((k * phase).cos() / k for k in range(1, 8))
    frames = torch.arange(10, 100)[None]
    found = pitch_of(sound[None], SPEC, frames)[0]
    wanted = 100 + 50 * (frames[0] * 128 + 64) / RATE
    assert (found / wanted - 1).abs().max() < 0.02


def test_log_pitch_is_converted_linearly_and_unvoiced_frames_stay():
    source = torch.tensor([math.log(200.0)]), torch.tensor([0.2])
    target = torch.tensor([math.log(100.0)]), torch.tensor([0.1])
    pitch = torch.tensor([[200.0, 200 * math.exp(0.2), 0.0]])
    made = convert_pitch(pitch, source, target)
    assert made[0].tolist() == pytest.approx([100.0, 100 * math.exp(0.1), 0.0], rel=1e-5)
    assert convert_pitch(made, target, source)[0].tolist() == pytest.approx(pitch[0].tolist(), rel=1e-5)


def test_harmonics_are_what_a_voice_has_beside_its_envelope():
    """The table's peaks agree with the rest of a voice's log-mel at a pitch between two entries, and not at another pitch."""
    smooth = smooth_part(SPEC.n_mels).float()
    harmonics = Harmonics(SPEC, smooth)
    mel = SPEC(voice(203.0, RATE)[None])[0, :, 30]
    rest = (mel - smooth @ mel)[:24]

    def alike(pitch):
        drawn = harmonics(torch.tensor([[pitch]]))[0, :24, 0]
        return float(torch.nn.functional.cosine_similarity(rest, drawn, 0))

    assert alike(203.0) > 0.8
    assert alike(203.0) > alike(240.0) + 0.3
    assert (harmonics(torch.zeros(1, 3)) == 0).all()
