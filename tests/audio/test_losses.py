"""Losses of sound, worked out by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_vocoders import waveforms

from polygan_audio import losses


def test_terms_by_hand():
    real = [[torch.zeros(2, 1, 4), torch.full((2, 1, 3), 2.0)]]
    fake = [[torch.ones(2, 1, 4), torch.full((2, 1, 3), -1.0)]]
    assert losses.discriminator_loss(real, fake) == {"real": torch.tensor(1.0), "fake": torch.tensor(1.0)}
    assert losses.generator_loss(fake) == 4.0
    assert losses.feature_matching(real, fake) == 1.0 + 3.0


def test_hinge_terms_by_hand():
    real = [[torch.zeros(2, 4), torch.full((2, 3), 2.0)], [torch.zeros(2, 4), torch.full((2, 3), 0.5)]]
    fake = [[torch.ones(2, 4), torch.full((2, 3), -1.5)], [torch.ones(2, 4), torch.full((2, 3), 0.25)]]
    weights = (1.0, 0.1)
    terms = losses.hinge_discriminator_loss(real, fake, weights)
    torch.testing.assert_close(terms, {"real": torch.tensor(0.05), "fake": torch.tensor(0.125)})
    torch.testing.assert_close(losses.hinge_generator_loss(fake, weights), torch.tensor(2.5 + 0.075))
    torch.testing.assert_close(losses.feature_matching(real, fake, weights), torch.tensor(4.5 + 0.125))


def test_stft_terms_by_hand():
    waveform = waveforms()
    convergence, logarithm = losses.stft_loss(waveform, 1.1 * waveform)
    torch.testing.assert_close(convergence, torch.tensor(0.1), atol=1e-5, rtol=0)
    torch.testing.assert_close(logarithm, torch.tensor(1.1).log(), atol=2e-3, rtol=0)
    assert losses.stft_loss(waveform, waveform)[0] == 0
