"""Discriminators: the published numbers, layouts that must not matter, gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from polygan_audio.networks.convolutions import fold
from polygan_audio.networks.discriminators import (
    Period,
    Scale,
    multi_period,
    multi_resolution,
    multi_scale,
    small_multi_period,
    small_multi_resolution,
)


def count(network):
    return sum(p.numel() for p in fold(network).parameters())


def test_the_papers_discriminators_have_their_size():
    assert round((count(multi_period()) + count(multi_scale())) / 1e6, 1) == 70.7
    assert count(small_multi_period()) < count(multi_period()) / 100


def test_periods_are_the_official_ones_turned():
    """The official code folds time into (T / p, p) and convolves along its first dimension."""
    torch.manual_seed(0)
    period = Period(3, (2, 4, 4))
    waveform = torch.randn(2, 100)
    x = F.pad(waveform[:, None], (0, 2), mode="reflect").view(2, 1, 34, 3)
    for convolution in [*period.convs, period.conv_post]:
        weight = convolution.weight.transpose(2, 3)
        stride, padding = (convolution.stride[1], 1), (convolution.padding[1], 0)
        x = F.conv2d(x, weight, convolution.bias, stride, padding)
        last = x
        x = F.leaky_relu(x, 0.1)
    torch.testing.assert_close(period(waveform)[-1].transpose(2, 3), last)
    assert [tuple(m.shape) for m in period(waveform)] == [(2, 2, 3, 12), (2, 4, 3, 4), (2, 4, 3, 4), (2, 1, 3, 4)]


def test_scales_pool_before_they_look():
    torch.manual_seed(0)
    scale = Scale(1, width=16).eval()
    waveform = torch.randn(2, 1024)
    pooled = F.avg_pool1d(waveform[:, None], 4, 2, 2)[:, 0]
    scale.pools = 0
    expected = scale(pooled)
    scale.pools = 1
    for a, b in zip(scale(waveform), expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("family", [multi_resolution, small_multi_resolution, small_multi_period])
def test_every_member_answers_and_is_differentiable(family):
    waveform = (0.1 * torch.randn(2, 4096)).requires_grad_()
    features = family(4)(waveform)
    assert len(features) == len(family(4).discriminators)
    sum(m[-1].mean() for m in features).backward()
    assert waveform.grad is not None
    assert waveform.grad.isfinite().all()
    assert (waveform.grad != 0).float().mean() > 0.9


def test_silence_has_finite_gradients():
    waveform = torch.zeros(1, 4096, requires_grad=True)
    sum(m[-1].square().mean() for m in multi_resolution(4)(waveform)).backward()
    assert waveform.grad is not None
    assert waveform.grad.isfinite().all()
