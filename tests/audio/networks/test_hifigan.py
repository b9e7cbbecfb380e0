"""HiFi-GAN's generator: the published numbers, residual blocks, rates for any hop, refusals."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from polygan import ConfigError
from polygan_audio.hifigan import Config, shape_for
from polygan_audio.networks.convolutions import fold
from polygan_audio.networks.hifigan import VARIANTS, Generator, Shape, kernels_for, rates_for
from polygan_audio.networks.melspec import PRESETS, MelSpec

GOLDEN = Path(__file__).parents[2] / "golden/hifigan/generator-v1-narrow.safetensors"
SMALL_MEL = MelSpec(sample_rate=16_000, n_fft=64, win_length=64, hop_length=16, n_mels=8)
SMALL = Shape(channels=8, rates=(4, 2, 2), kernels=(8, 4, 4), block=1, sizes=(3, 5), dilations=((1, 3), (1, 2)))


def loud(network, std=0.5):
    """Weights large enough that what is left out would show."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.0, std)
    return network.double().eval()


def count(network):
    return sum(p.numel() for p in fold(network).parameters())


def test_the_generator_is_the_official_one():
    from safetensors.torch import load_file

    golden = load_file(GOLDEN)
    generator = Generator(dataclasses.replace(VARIANTS["v1"], channels=64), PRESETS["hifigan"])
    own = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    state = {"mel_spec": generator.mel_spec}
    for name, value in golden.items():
        owner, _, leaf = name.removeprefix("generator.").rpartition(".")
        if name.startswith("generator."):
            state[f"{owner}.{own.get(leaf, leaf)}"] = value
    generator.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(generator(golden["mel"]), golden["waveform"][:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("variant", "millions"), [("v1", 13.92), ("v2", 0.92), ("v3", 1.46)])
def test_variants_have_the_papers_size(variant, millions):
    assert abs(count(Generator(VARIANTS[variant], PRESETS["hifigan"])) / 1e6 - millions) < 0.01


@pytest.mark.parametrize("block", [1, 2])
def test_residual_blocks_are_the_papers_and_leave_their_input(block):
    module = loud(Generator(dataclasses.replace(SMALL, block=block), SMALL_MEL).resblocks[1])
    given = torch.randn(2, 4, 30, dtype=torch.float64, requires_grad=True)
    x = given
    if block == 1:
        for dilated, plain in zip(module.convs1, module.convs2, strict=True):
            x = x + plain(F.leaky_relu(dilated(F.leaky_relu(x, 0.1)), 0.1))
    else:
        for dilated in module.convs:
            x = x + dilated(F.leaky_relu(x, 0.1))
    wanted = [given, *module.parameters()]
    expected = torch.autograd.grad(x.square().sum(), wanted)
    before, got = given.detach().clone(), module(given)
    torch.testing.assert_close(got, x)
    torch.testing.assert_close(torch.autograd.grad(got.square().sum(), wanted), expected)
    with torch.no_grad():
        torch.testing.assert_close(module(given), x)
    assert torch.equal(given, before)


@pytest.mark.parametrize("hop", [64, 120, 160, 200, 240, 256, 300, 441, 512])
@pytest.mark.parametrize("variant", ["v1", "v3"])
def test_any_hop_is_factored(hop, variant):
    shape = shape_for(Config(variant=variant, channels=16), hop)
    assert math.prod(shape.rates) == hop
    mel = dataclasses.replace(PRESETS["hifigan"], hop_length=hop, padding="center")
    assert Generator(shape, mel)(torch.zeros(1, 80, 3)).shape == (1, 3 * hop)


def test_the_papers_hop_has_the_papers_rates():
    assert shape_for(Config(), 256).rates == (8, 8, 2, 2)
    assert shape_for(Config(variant="v3"), 256).kernels == (16, 16, 8)
    assert rates_for(300, 4) == (5, 5, 4, 3)
    assert kernels_for((5, 4)) == (11, 8)


def test_what_cannot_work_is_refused_with_its_arithmetic():
    with pytest.raises(ConfigError, match=r"8 x 8 x 2 x 2 = 256 do not give the 200 samples"):
        Generator(VARIANTS["v2"], dataclasses.replace(PRESETS["hifigan"], hop_length=200))
    with pytest.raises(ConfigError, match=r"upsampling by 5 with kernel 10"):
        dataclasses.replace(VARIANTS["v2"], rates=(5, 5, 4, 2), kernels=(10, 10, 8, 4))
    with pytest.raises(ConfigError, match=r"100 channels cannot be halved 4 times"):
        dataclasses.replace(VARIANTS["v2"], channels=100)
    with pytest.raises(ConfigError, match=r"one kernel for each rate"):
        dataclasses.replace(VARIANTS["v2"], kernels=(16, 16))
