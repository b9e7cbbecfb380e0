"""Folding and the planar layout leave the sound as it is."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from polygan_audio.networks import vocos
from polygan_audio.networks.convolutions import doubled, fold, refold
from polygan_audio.networks.hifigan import Generator, Shape
from polygan_audio.networks.melspec import MelSpec

SMALL_MEL = MelSpec(sample_rate=16_000, n_fft=64, win_length=64, hop_length=16, n_mels=8)
SMALL = Shape(channels=8, rates=(4, 2, 2), kernels=(8, 4, 4), block=1, sizes=(3, 5), dilations=((1, 3), (1, 2)))


def loud(network, std=0.5):
    """Weights large enough that what is left out would show."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.0, std)
    return network.double().eval()


@pytest.mark.parametrize("block", [1, 2])
def test_the_planar_layout_gives_the_same_sound(block):
    network = loud(fold(Generator(dataclasses.replace(SMALL, block=block), SMALL_MEL)), 0.3)
    mel = torch.randn(2, 8, 30, dtype=torch.float64)
    flat = network(mel)
    network.planar = True
    torch.testing.assert_close(network(mel), flat, atol=1e-12, rtol=0)
    assert flat.std() > 0.1


def test_folding_leaves_the_original_as_it_was():
    generator = Generator(SMALL, SMALL_MEL)
    mel = torch.randn(1, 8, 10)
    before = generator(mel)
    folded = fold(generator)
    torch.testing.assert_close(folded(mel), before)
    assert not any("parametrizations" in name for name in folded.state_dict())
    assert torch.equal(generator(mel), before)
    generator(mel).sum().backward()
    assert generator.conv_pre.parametrizations.weight.original1.grad is not None


@pytest.mark.parametrize("make", [lambda: Generator(SMALL, SMALL_MEL), lambda: vocos.Generator(SMALL_MEL, 8, 16, 2)])
def test_a_folded_copy_takes_over_weights_that_changed(make):
    generator = make()
    folded = fold(generator)
    for parameter in generator.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    mel, fresh = torch.randn(1, 8, 10), fold(generator)
    assert not torch.equal(folded(mel), fresh(mel))
    refold(folded, generator)
    for key, value in fresh.state_dict().items():
        assert torch.equal(folded.state_dict()[key], value), key


def test_double_precision_gives_way_on_a_device_that_lacks_it():
    class OnApple(torch.Tensor):
        device = torch.device("mps")

    assert doubled(torch.zeros(2)).dtype == torch.float64
    assert doubled(torch.zeros(2, dtype=torch.float16).as_subclass(OnApple)).dtype == torch.float32
