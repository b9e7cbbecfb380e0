"""What all generators share: the context of a frame, and the front end in the weights."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from polygan import CheckpointError
from polygan.training.weights import load_module
from polygan_audio.networks import vocos as vocos_networks
from polygan_audio.networks.convolutions import fold
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


@pytest.mark.parametrize("kind", ["v1", "v3", "vocos", "vocos center"])
def test_context_is_what_the_gradient_reaches(kind):
    mel = dataclasses.replace(SMALL_MEL, padding="center" if "center" in kind else "same")
    if kind.startswith("vocos"):
        network = vocos_networks.Generator(mel, 8, 16, 2)
    else:
        network = Generator(dataclasses.replace(SMALL, block=1 if kind == "v1" else 2), mel)
    network = loud(fold(network), 0.3)
    middle = 40
    given = torch.randn(1, mel.n_mels, 81, dtype=torch.float64, requires_grad=True)
    sound = network(given)[0, middle * mel.hop_length : (middle + 1) * mel.hop_length]
    (sound * torch.randn_like(sound)).sum().backward()
    assert given.grad is not None
    reached = given.grad.abs().sum(1)[0].nonzero().flatten()
    assert max(middle - int(reached.min()), int(reached.max()) - middle) == network.context()


def test_weights_of_another_front_end_are_refused():
    saved = {"generator": Generator(SMALL, SMALL_MEL).state_dict()}
    other = Generator(SMALL, dataclasses.replace(SMALL_MEL, fmax=4000.0, epsilon=1e-9))
    with pytest.raises(CheckpointError, match=r"fmax None instead of 4000.0, epsilon 0 instead of 1e-09"):
        load_module(other, saved, "generator", "somewhere")
    load_module(Generator(SMALL, SMALL_MEL), saved, "generator", "somewhere")
