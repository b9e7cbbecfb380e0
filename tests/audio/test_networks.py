"""Generators and discriminators: the published numbers, layouts that must not matter, context, refusals."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from polygan import CheckpointError, ConfigError
from polygan.training.weights import load_module
from polygan_audio import vocos_networks
from polygan_audio.convolutions import fold
from polygan_audio.discriminators import (
    Period,
    Scale,
    multi_period,
    multi_resolution,
    multi_scale,
    small_multi_period,
    small_multi_resolution,
)
from polygan_audio.hifigan import Config, shape_for
from polygan_audio.hifigan_networks import VARIANTS, Generator, Shape, kernels_for, rates_for
from polygan_audio.melspec import PRESETS, MelSpec

GOLDEN = Path(__file__).parents[1] / "golden/hifigan/generator-v1-narrow.safetensors"
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


def test_the_papers_discriminators_have_their_size():
    assert round((count(multi_period()) + count(multi_scale())) / 1e6, 1) == 70.7
    assert count(small_multi_period()) < count(multi_period()) / 100


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


def test_context_is_what_a_change_reaches_through_iterations():
    """No gradient goes through them."""
    network = vocos_networks.Generator(SMALL_MEL, 8, 16, 2, prior="griffin-lim", iterations=2)
    network, middle, hop = loud(network, 0.3), 30, SMALL_MEL.hop_length
    given = torch.randn(1, 8, 61, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    changed = given.repeat(61, 1, 1)
    changed[range(61), :, range(61)] += 0.5
    with torch.no_grad():
        gaps = (network(changed) - network(given.repeat(61, 1, 1)))[:, middle * hop : (middle + 1) * hop].abs().amax(1)
    reached = gaps.nonzero().flatten()
    assert max(middle - int(reached.min()), int(reached.max()) - middle) == network.context() < middle


@pytest.mark.parametrize("log", ["ln", "log10"])
def test_magnitudes_begin_at_the_pseudo_inverse(log):
    mel = dataclasses.replace(SMALL_MEL, log=log)
    network = vocos_networks.Generator(mel, 8, 16, 2).double()
    torch.nn.init.zeros_(network.head.weight)
    filters = mel.filters().double()
    found = filters.T @ torch.rand(mel.n_mels, 5, dtype=torch.float64)  # what filters can tell apart is found exactly
    bands = torch.cat([filters @ found, 0.01 * torch.rand(mel.n_mels, 5, dtype=torch.float64)], 1)
    least = torch.linalg.lstsq(filters, bands, driver="gelsd").solution[:, 5:]  # of least norm: the pseudo-inverse's
    assert least.min() < -0.01
    wanted = torch.cat([found, least.abs()], 1).clamp(min=1e-5)
    with torch.no_grad():
        real, imaginary = network.spectra((bands.log() if log == "ln" else bands.log10())[None])[0].unbind(-1)
    torch.testing.assert_close(real.T, wanted, atol=1e-5, rtol=1e-5)
    assert not imaginary.any()
    plain = vocos_networks.Generator(mel, 8, 16, 2, prior="none").double()
    torch.nn.init.zeros_(plain.head.weight)
    with torch.no_grad():
        assert torch.equal(plain.spectra(bands.log()[None])[..., 0], torch.ones(1, 10, mel.n_fft // 2 + 1).double())


def uncorrected(mel, iterations):
    """A generator of that prior whose network corrects nothing."""
    network = vocos_networks.Generator(mel, 8, 16, 2, prior="griffin-lim", iterations=iterations).double().eval()
    nn.init.zeros_(network.head.weight)
    return network


@pytest.mark.parametrize(
    "changes", [{}, {"padding": "center"}, {"win_length": 50}, {"hop_length": 24}, {"log": "log10"}], ids=str
)
def test_what_the_network_corrects_is_what_the_fast_griffin_lim_algorithm_finds(changes):
    """Against the algorithm written frame by frame on complex numbers (Perraudin et al. 2013, algorithm 2)."""
    mel = dataclasses.replace(SMALL_MEL, **changes)
    count, n, hop = 9, mel.n_fft, mel.hop_length
    bands = 0.001 + 0.01 * torch.rand(count, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    filters = mel.filters().double()
    magnitudes = (bands @ torch.linalg.pinv(filters).float().double().T).abs().clamp(min=1e-5)
    for _ in range(10):  # Lee and Seung 2001, eq. 4
        magnitudes = magnitudes * (bands @ filters) / (magnitudes @ filters.T @ filters).clamp(min=1e-10)
    magnitudes = magnitudes.clamp(min=1e-5)
    spare, length = n - mel.win_length, (count - 1) * hop + n
    window = F.pad(torch.hann_window(mel.win_length, dtype=torch.float64), (spare // 2, spare - spare // 2))
    places = [slice(i * hop, i * hop + n) for i in range(count)]

    def synthesise(spectra):
        sound, weight = torch.zeros(2, length, dtype=torch.float64)
        for place, frame in zip(places, torch.fft.irfft(spectra, n), strict=True):
            sound[place] += window * frame
            weight[place] += window.square()
        return sound / weight.clamp(min=1e-8)

    bins = torch.arange(n // 2 + 1, dtype=torch.float64)
    phases = torch.polar(torch.ones_like(bins), math.pi * (bins.square() / n + bins / 2))
    last = None
    for _ in range(3):
        sound = synthesise(magnitudes * phases)
        found = torch.stack([torch.fft.rfft(window * sound[place]) for place in places])
        ahead = found if last is None else found + 0.99 * (found - last)
        last, phases = found, ahead / ahead.abs()
    wanted = F.pad(synthesise(magnitudes * phases), (0, hop))[mel.pad : mel.pad + count * hop]
    given = (bands.log10() if mel.log == "log10" else bands.log()).T[None]
    with torch.no_grad():
        got = uncorrected(mel, 3)(given)[0]
    torch.testing.assert_close(got, wanted, atol=1e-9, rtol=1e-9)
    assert wanted.std() > 1e-3


def test_the_network_sees_how_phases_advance():
    """Those of a tone keep to its bin's frequency from frame to frame, and turn by half from bin to bin."""
    mel, bin = PRESETS["hifigan"], 50
    tone = 0.3 * torch.cos(2 * math.pi * bin / mel.n_fft * torch.arange(25_600) + 1)
    _, unit, seen = uncorrected(mel, 32)._griffin_lim(mel(tone).double()[None])
    torch.testing.assert_close(unit.norm(dim=-1), torch.ones_like(unit[..., 0]))
    kept, across, along = seen[0, 20:80].split([513, 1026, 1026], 1)
    real, imaginary = along.unflatten(1, (513, 2))[:, bin].unbind(1)
    assert real.median() > 0.95
    assert imaginary.abs().median() < 0.3
    assert across.unflatten(1, (513, 2))[:, bin, 0].median() < -0.95
    assert kept[:, bin].abs().median() < 0.1
    assert 0.5 < kept.abs().max() <= 3


def test_iterations_are_finer_outside_of_training():
    """In training float32 is enough; elsewhere a sound must not depend on what else is computed beside it."""
    network = uncorrected(PRESETS["hifigan"], 32).float()
    mel = PRESETS["hifigan"](0.1 * torch.randn(20_000, generator=torch.Generator().manual_seed(0)))[None]
    with torch.no_grad():
        sound, double = network(mel), network.double()(mel.double())
        rough = network.float().train()(mel)
    assert sound.dtype == rough.dtype == torch.float32
    assert (sound - double).abs().max() < 1e-5 * double.abs().max()
    assert (rough - double).abs().max() > 1e-3 * double.abs().max()


@pytest.mark.parametrize("block", [1, 2])
def test_the_planar_layout_gives_the_same_sound(block):
    network = loud(fold(Generator(dataclasses.replace(SMALL, block=block), SMALL_MEL)), 0.3)
    mel = torch.randn(2, 8, 30, dtype=torch.float64)
    flat = network(mel)
    network.planar = True
    torch.testing.assert_close(network(mel), flat, atol=1e-12, rtol=0)
    assert flat.std() > 0.1


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


def test_weights_of_another_front_end_are_refused():
    saved = {"generator": Generator(SMALL, SMALL_MEL).state_dict()}
    other = Generator(SMALL, dataclasses.replace(SMALL_MEL, fmax=4000.0, epsilon=1e-9))
    with pytest.raises(CheckpointError, match=r"fmax None instead of 4000.0, epsilon 0 instead of 1e-09"):
        load_module(other, saved, "generator", "somewhere")
    load_module(Generator(SMALL, SMALL_MEL), saved, "generator", "somewhere")


# Discriminators


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


def test_scales_pool_before_they_judge():
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
def test_every_member_judges_and_is_differentiable(family):
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
