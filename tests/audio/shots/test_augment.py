"""Augmentation of sounds: what each draw does, the identity, gradients."""

from __future__ import annotations

import math

import pytest
import torch

from polygan_audio.shots.augment import NORMAL_DRAWS, UNIFORM_DRAWS, augment_mel, augment_waveform, moved

ONE, ZERO, HALF = torch.ones(()), torch.zeros(()), torch.tensor(0.5)


def sounds(n=4, samples=256, dtype=torch.float32):
    return torch.randn(n, samples, generator=torch.Generator().manual_seed(0), dtype=dtype)


def draws(n=4):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, UNIFORM_DRAWS, generator=generator), torch.randn(n, NORMAL_DRAWS, generator=generator)


def one(octaves=0.0, **columns):
    """The draws of one sound: every gate closed but those that are given."""
    uniform = torch.full((1, UNIFORM_DRAWS), 0.99)
    for name, value in columns.items():
        uniform[0, int(name[1:])] = value
    return uniform, torch.tensor([[octaves]])


def mel_of(x, *given):
    return augment_mel(x, *given, silence=-11.5, base=math.e)


def test_probability_zero_changes_nothing_to_the_bit():
    x, mels = sounds(), torch.randn(4, 5, 64)
    assert torch.equal(augment_waveform(x, ZERO, *draws()), x)
    assert torch.equal(mel_of(mels, ZERO, *draws()), mels)
    assert (augment_waveform(x, ONE, *draws()) - x).abs().mean() > 0.1
    assert (mel_of(mels, ONE, *draws()) - mels).abs().mean() > 0.1


def test_a_sound_moves_by_up_to_a_thirty_second_and_silence_comes_in():
    x = sounds(1)
    late = augment_waveform(x, HALF, *one(u0=0.0, u1=1.0))  # 256 / 32 = 8 samples
    assert torch.equal(late[:, 8:], x[:, :-8])
    assert not late[:, :8].any()
    early = augment_waveform(x, HALF, *one(u0=0.0, u1=0.0))
    assert torch.equal(early[:, :-8], x[:, 8:])
    assert not early[:, -8:].any()
    mel = torch.randn(1, 3, 64)
    assert torch.equal(mel_of(mel, HALF, *one(u0=0.0, u1=1.0))[..., 2:], mel[..., :-2])
    assert bool((mel_of(mel, HALF, *one(u0=0.0, u1=1.0))[..., :2] == -11.5).all())


def test_gain_and_polarity_are_exact():
    x = sounds(1)
    torch.testing.assert_close(augment_waveform(x, HALF, *one(2.0, u2=0.0)), 2 * x)  # 2 deviations of half an octave
    torch.testing.assert_close(augment_waveform(x, HALF, *one(u3=0.0, u4=0.0)), -x)
    assert torch.equal(augment_waveform(x, HALF, *one(u3=0.0, u4=0.6)), x)
    mel = torch.randn(1, 3, 64)
    torch.testing.assert_close(mel_of(mel, HALF, *one(2.0, u2=0.0)), mel + math.log(2))
    torch.testing.assert_close(augment_mel(mel, HALF, *one(2.0, u2=0.0), silence=-10.0, base=10.0), mel + math.log10(2))


@pytest.mark.parametrize(("draw", "gain"), [(0.0, 1.5), (1 / 3, 1.0), (1.0, 0.0)])
def test_tone_changes_the_highest_frequency_and_not_the_lowest(draw, gain):
    flat, fast = torch.ones(1, 256), torch.tensor([1.0, -1.0]).repeat(128)[None]
    for x, wanted in ((flat, 1.0), (fast, gain)):
        found = augment_waveform(x, HALF, *one(u5=0.0, u6=draw))[0, 4:-4]
        torch.testing.assert_close(found, wanted * x[0, 4:-4], atol=1e-6, rtol=0)


def test_shifts_of_a_batch_differ():
    x = sounds(3, 8)
    found = moved(x, torch.tensor([[1], [0], [-2]]), torch.zeros(3, 1))
    assert torch.equal(found[0, 1:], x[0, :-1])
    assert torch.equal(found[1], x[1])
    assert torch.equal(found[2, :-2], x[2, 2:])


def test_gradients_of_gradients_flow_through_every_augmentation():
    x = sounds(2, 32, torch.float64).requires_grad_()
    u, g = draws(2)
    for function in (
        lambda x: augment_waveform(x, ONE.double(), u.double(), g.double()),
        lambda x: mel_of(x.unflatten(1, (2, 16)), ONE.double(), u.double(), g.double()),
    ):
        squared = lambda x, f=function: f(x).square()  # noqa: E731 - linear in x: its second derivative would be 0
        assert torch.autograd.gradcheck(squared, x, fast_mode=True)
        assert torch.autograd.gradgradcheck(squared, x, fast_mode=True)
