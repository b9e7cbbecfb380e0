"""The losses of voice conversion that are no loss of the recogniser."""

from __future__ import annotations

import pytest
import torch

from polygan_speech.conversion.losses import as_large_as, feature_distance, mel_distance


def test_a_scaled_term_has_the_size_of_the_other_and_its_own_direction():
    x = torch.tensor([1.0, 10.0], requires_grad=True)
    other = torch.tensor([4.0, 5.0], requires_grad=True)
    made = as_large_as(x, other)
    made.sum().backward()
    assert made.tolist() == pytest.approx([4.0, 5.0])
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([4.0, 0.5])
    assert other.grad is None


def test_distances_are_means_of_each_sample():
    made, wanted = torch.zeros(2, 3, 4), torch.ones(2, 3, 4) * torch.tensor([1.0, 3.0])[:, None, None]
    assert mel_distance(made, wanted, torch.full((3, 1), 2.0)).tolist() == pytest.approx([0.5, 1.5])
    real = [torch.zeros(2, 3, 4), torch.zeros(2, 5)]
    fake = [torch.tensor([1.0, 2.0])[:, None, None].expand(2, 3, 4), torch.tensor([3.0, 0.0])[:, None].expand(2, 5)]
    assert feature_distance(real, fake).tolist() == pytest.approx([2.0, 1.0])
