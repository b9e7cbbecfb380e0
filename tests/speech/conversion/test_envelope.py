"""Envelopes: without harmonics, stretched along frequency, tilted."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import RATE, voice

from polygan import Noise
from polygan_audio.networks.melspec import MelSpec
from polygan_speech.conversion.envelope import FARTHEST, WARPS, Envelope, Perturbation, smooth_part

SPEC = MelSpec(sample_rate=RATE, n_fft=512, win_length=512, hop_length=128, n_mels=60)
ENVELOPE = Envelope(SPEC, torch.full((60,), -5.0), torch.full((60,), 2.0))


def test_envelopes_of_two_pitches_differ_less_than_their_mels():
    mels = torch.stack([SPEC(voice(pitch, RATE)[None])[0, :, 30:31] for pitch in (150.0, 210.0)])
    a, b = ENVELOPE(mels)
    apart = (mels[0] - mels[1]).square().mean() / 4
    assert (a - b).square().mean() < 0.5 * apart
    assert torch.allclose(ENVELOPE.table[WARPS // 2] * 2, smooth_part(60).float(), atol=1e-6)


def test_a_factor_moves_a_formant():
    """A peak at 1,000 Hz is read at 1,000 Hz / factor."""
    filters = SPEC.filters()
    centres = (filters @ torch.linspace(0, RATE / 2, filters.shape[1])) / filters.sum(1)
    mel = (-5 + 4 * torch.exp(-(((centres - 1000) / 300) ** 2)))[None, :, None]
    for warp, factor in ((0, 1 / FARTHEST), (WARPS // 2, 1.0), (WARPS - 1, FARTHEST)):
        seen = ENVELOPE(mel, Perturbation(torch.tensor([warp]), torch.zeros(1, 8)))[0, :, 0]
        peak = float(centres[seen.argmax()])
        assert abs(peak * factor / 1000 - 1) < 0.06, (warp, peak)


def test_the_equaliser_is_the_same_in_all_frames_and_as_strong_as_asked():
    change = Perturbation.draw(Noise().reset(0), 400, 0.5)
    change = Perturbation(torch.full((400,), WARPS // 2), change.shades)
    mel = torch.full((400, 60, 2), -5.0)
    seen = ENVELOPE(mel, change) - ENVELOPE(mel)
    assert torch.allclose(seen[..., 0], seen[..., 1])
    assert 0.45 < seen.square().mean().sqrt() < 0.55
