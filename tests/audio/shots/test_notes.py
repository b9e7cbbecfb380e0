"""Names of notes, and the pitch of sounds whose pitch is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from polygan_audio.shots.notes import hertz_of, midi_of, name_of, notes_of, pitch_of


@pytest.mark.parametrize(
    ("name", "midi"),
    [
        ("C4", 60),
        ("A4", 69),
        ("F#3", 54),
        ("Bb2", 46),
        ("Cs4", 61),
        ("c-1", 0),
        ("midi60", 60),
        ("MIDI_61", 61),
        ("60", 60),
    ]
    + [("kick", None), ("H4", None), ("128", None), ("", None), ("4", 4), ("Cb-1", None)],
)
def test_names_of_notes(name, midi):
    assert midi_of(name) == midi


def test_names_and_numbers_are_each_others_inverse():
    assert [midi_of(name_of(m)) for m in range(12, 120)] == [*range(12, 120)]
    assert hertz_of(69) == 440
    assert hertz_of(60) == pytest.approx(261.6256, abs=1e-4)


def test_classes_are_notes_only_together_and_digits_are_none():
    assert notes_of(["C4", "D4"]) == (60, 62)
    assert notes_of(["C4", "snare"]) == ()
    assert notes_of([]) == ()
    assert notes_of([str(digit) for digit in range(10)]) == ()
    assert notes_of(["48", "60"]) == (48, 60)


def tone(hertz, rate=16_000, samples=16_384, harmonics=(1.0, 0.6, 0.4), noise=0.0):
    time = torch.arange(samples) / rate
    sound = sum(a * torch.sin(2 * math.pi * (k + 1) * hertz * time + k) for k, a in enumerate(harmonics))
    return 0.3 * sound + noise * torch.randn(samples, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("midi", [48, 55, 60, 66, 71])
@pytest.mark.parametrize("detuned", [-40, 0, 40])
def test_the_pitch_of_a_tone_is_found_within_five_cents(midi, detuned):
    wanted = hertz_of(midi + detuned / 100)
    found = pitch_of(tone(wanted, noise=0.01), 16_000, hertz_of(41), hertz_of(78))
    assert abs(1200 * math.log2(found / wanted)) < 5


def test_a_missing_fundamental_is_still_the_pitch():
    found = pitch_of(tone(200, harmonics=(0.0, 1.0, 0.8, 0.6)), 16_000, 80, 800)
    assert found == pytest.approx(200, rel=2e-3)


def test_noise_and_silence_have_no_pitch():
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 16_384)).float()
    assert pitch_of(noise, 16_000, 100, 800) is None
    assert pitch_of(torch.zeros(16_384), 16_000, 100, 800) is None


def test_a_sound_of_a_tenth_of_a_second_has_a_pitch():
    assert pitch_of(tone(300, samples=1600), 16_000, 100, 800) == pytest.approx(300, rel=5e-3)


@pytest.mark.parametrize("midi", [24, 36, 90, 96, 105])
def test_low_and_high_notes_are_found_within_the_range_of_a_piano(midi):
    found = pitch_of(tone(hertz_of(midi), harmonics=(1.0, 0.5)), 16_000, hertz_of(14), 4000)
    assert abs(1200 * math.log2(found / hertz_of(midi))) < 10
