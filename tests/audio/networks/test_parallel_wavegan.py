"""Parallel WaveGAN's networks: the published numbers and waveform, the table of the upsampling, how far they see."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from polygan import ConfigError
from polygan_audio.formats.plain_wavegan import PlainWaveGAN
from polygan_audio.formats.weight_norm import normed
from polygan_audio.networks import wavenet
from polygan_audio.networks.convolutions import fold
from polygan_audio.networks.excitation import GriffinLim
from polygan_audio.networks.melspec import PRESETS, MelSpec
from polygan_audio.networks.parallel_wavegan import Discriminator, Generator, Shape
from polygan_audio.networks.upsampling import Upsampling
from polygan_audio.networks.wavenet import GatedStack, Plan

GOLDEN = Path(__file__).parents[2] / "golden/parallel-wavegan/narrow.safetensors"
MEL = MelSpec(sample_rate=16_000, n_fft=64, win_length=64, hop_length=16, n_mels=8)
SMALL = Shape(layers=4, stacks=2, channels=4, gates=6, skips=5, scales=(4, 2, 2))
TINY = replace(SMALL, layers=3, stacks=1, scales=(4, 4))


def loud(network, std=0.4):
    """Weights large enough that what is left out would show, in float64."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.0, std)
    return network.double().eval()


def size_of(network):
    return sum(p.numel() for p in network.parameters())


def test_networks_have_the_published_sizes():
    assert size_of(Generator(Shape(), PRESETS["parallel_wavegan"])) == 1_346_042
    assert size_of(Discriminator()) == 99_842
    assert Shape().seen == 6139
    assert [conv.dilation[0] for conv in Discriminator().conv_layers.values()] == [1, 1, 2, 3, 4, 5, 6, 7, 8, 1]


def test_initial_weights_are_the_reference_implementations():
    torch.manual_seed(0)
    layer = Generator(replace(Shape(), layers=1, stacks=1), PRESETS["parallel_wavegan"]).layers[0].conv
    assert layer.weight.std().item() == pytest.approx((2 / (64 * 3)) ** 0.5, rel=0.02)
    assert not layer.bias.any()


def test_waveform_and_logits_are_the_reference_implementations():
    golden, facts = load_file(GOLDEN), json.loads(GOLDEN.with_suffix(".json").read_text())
    shape = Shape(
        layers=facts["layers"],
        stacks=facts["stacks"],
        channels=facts["residual_channels"],
        gates=facts["gate_channels"],
        skips=facts["skip_channels"],
    )
    generator = Generator(shape, PRESETS["parallel_wavegan"]).eval()
    discriminator = Discriminator(facts["discriminator"]["conv_channels"])
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        state = {k.removeprefix(f"{name}."): v for k, v in golden.items() if k.startswith(f"{name}.")}
        layers = {k.rpartition(".")[0] for k in state}
        found = {k: v for layer in layers for k, v in normed(state, layer, "golden").items()}
        kept = {k: v for k, v in network.state_dict().items() if k in ("mean", "scale", "mel_spec")}
        network.load_state_dict(found | kept)
    with torch.no_grad():
        waveform = generator(golden["mel"], golden["noise"][:, 0], padded=True)
        (found,) = discriminator(golden["waveform"][:, 0])
    assert golden["waveform"].abs().max() > 0.01
    torch.testing.assert_close(waveform, golden["waveform"][:, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[-1][..., 0], golden["logits"][:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scales", [(4, 4), (3, 2, 2), (5,)])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 6, 9])
def test_the_table_is_the_way_to_samples(causal, scales, frames):
    upsample = loud(Upsampling(scales, causal=causal))
    features = torch.randn(2, 3, frames, dtype=torch.float64)
    around = nn.functional.pad(features, (upsample.before, upsample.after)).unfold(2, upsample.reach, 1)
    found = torch.einsum("bcfr,fhr->bcfh", around, upsample.table(frames)[upsample.places(frames)]).flatten(2)
    torch.testing.assert_close(found, upsample(features))
    assert not causal or upsample.after == 0


@pytest.mark.parametrize("causal", [False, True])
def test_the_generator_is_that_of_plain_convolutions_with_all_its_gradients(causal):
    generator = loud(Generator(replace(SMALL, causal=causal), MEL), 0.7)
    mel = torch.randn(2, 8, 7, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(2, 7 * 16, dtype=torch.float64, requires_grad=True)
    parameters = [mel, noise, *generator.parameters()]
    results = []
    for network in (generator, PlainWaveGAN(generator)):
        made = network(mel, noise)
        used = torch.autograd.grad((made * torch.arange(7 * 16)).sum(), parameters, allow_unused=True)
        results.append((made, *used))
    # Nothing reads the last layer's way on.
    assert sum(gradient is None for gradient in results[0]) == sum(gradient is None for gradient in results[1])
    for ours, plain in zip(*results, strict=True):
        if ours is not None:
            torch.testing.assert_close(ours, plain)
    assert results[0][0].std() > 1e-3


def stack_of(layers, causal):
    """Random inputs of `GatedStack` in float64: two sounds of 3 frames of 4 samples, 3 channels, 2 gates, 5 skips."""
    shapes = [(2, 12, 3), (5,), (6, 4, 3), (layers, 6, 3, 4), *[(4, 3, 3)] * layers, *[(5, 2)] * layers]
    shapes += [*[(3, 2)] * (layers - 1), *[(3,)] * (layers - 1)]
    torch.manual_seed(0)
    inputs = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    return Plan(tuple(range(1, layers + 1)), causal, True), inputs


def plain_stack(plan, x, start, table, features, *weights):
    """`GatedStack`, as its formula says."""
    kernels, skips, outs, biases = plan.parts(weights)
    total = start
    for i, dilation in enumerate(plan.dilations):
        padded = nn.functional.pad(x.transpose(1, 2), (2 * dilation, 0) if plan.causal else (dilation, dilation))
        found = nn.functional.conv1d(padded, kernels[i], dilation=dilation).transpose(1, 2)
        a, b = (found + (table @ features[i]).view(found.shape)).chunk(2, -1)
        z = (a / 2).tanh() * b.sigmoid()
        total = total + z @ skips[i].t()
        if i < len(outs):
            x = (x + z @ outs[i].t() + biases[i]) * 0.5**0.5
    return total


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rows", [4, 8, 1024])  # one frame, two frames, all frames in a block
def test_gated_layers_have_the_sums_and_the_gradients_of_their_formula(monkeypatch, causal, rows):
    monkeypatch.setattr(wavenet, "_ROWS", rows)
    plan, inputs = stack_of(3, causal)
    results = []
    for made in (GatedStack.apply(plan, *inputs), plain_stack(plan, *inputs)):
        weighted = (made * torch.linspace(-1, 1, made.numel(), dtype=made.dtype).view(made.shape)).sum()
        results.append([made, *torch.autograd.grad(weighted, inputs)])
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_of_gated_layers_are_finite_differences(causal):
    plan, inputs = stack_of(2, causal)
    assert torch.autograd.gradcheck(lambda *x: GatedStack.apply(plan, *x), inputs)


def test_gated_layers_keep_nothing_where_no_gradient_will_come():
    plan, inputs = stack_of(2, False)
    frozen = [x.detach() for x in inputs]
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        wanted = GatedStack.apply(plan, *inputs)
        trained, kept[:] = len(kept), []
        found = [GatedStack.apply(plan, *frozen)]
        with torch.no_grad():
            found.append(GatedStack.apply(replace(plan, keeps=False), *inputs))
    assert trained
    assert not kept
    assert all(torch.equal(made, wanted) for made in found)


def test_only_what_has_a_use_for_gradients_gets_some():
    plan, inputs = stack_of(2, False)
    wanted = torch.autograd.grad(GatedStack.apply(plan, *inputs).square().sum(), inputs)
    for asked in ([0], [3], [2, 3]):
        given = [x.detach().requires_grad_(i in asked) for i, x in enumerate(inputs)]
        found = torch.autograd.grad(GatedStack.apply(plan, *given).square().sum(), [given[i] for i in asked])
        for i, gradient in zip(asked, found, strict=True):
            torch.testing.assert_close(gradient, wanted[i])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [0, 2])
def test_context_is_what_the_gradient_reaches(causal, window):
    generator = loud(fold(Generator(replace(SMALL, causal=causal, window=window), MEL)), 0.5)
    middle = 20
    mel = torch.randn(1, 8, 41, dtype=torch.float64, requires_grad=True)
    sound = generator(mel, torch.randn(1, 41 * 16, dtype=torch.float64))[0, middle * 16 : (middle + 1) * 16]
    (sound * torch.randn_like(sound)).sum().backward()
    reached = mel.grad.abs().sum(1)[0].nonzero().flatten()
    assert max(middle - int(reached.min()), int(reached.max()) - middle) == generator.context()
    assert not causal or int(reached.max()) == middle


def test_excitation_reaches_as_far_as_the_published_field():
    generator = loud(fold(Generator(SMALL, MEL)), 0.5)
    noise = torch.randn(1, 20 * 16, dtype=torch.float64, requires_grad=True)
    generator(torch.randn(1, 8, 20, dtype=torch.float64), noise)[0, 150].backward()
    reached = noise.grad[0].nonzero().flatten()
    assert int(reached.max() - reached.min()) + 1 == SMALL.seen
    assert SMALL.seen == 13


def test_a_griffin_lim_excitation_is_a_sound_with_that_mel_and_depends_on_nothing_else():
    spec = PRESETS["hifigan"]
    time = torch.arange(256 * 40) / spec.sample_rate
    mel = spec(0.3 * torch.sin(2 * torch.pi * 300 * time) + 0.1 * torch.sin(2 * torch.pi * 1700 * time))[None]
    excite = GriffinLim(spec, 8).eval()
    sound = excite(mel)
    assert sound.shape == (1, 40 * 256)
    assert torch.equal(sound, excite(mel))
    loud_bands = mel > mel.max() - 5
    assert (spec(sound) - mel)[loud_bands].abs().mean() < 0.5
    network = Generator(SMALL, MEL, iterations=4)
    given = MEL(0.1 * torch.randn(1, 160))
    torch.testing.assert_close(network(given), network.griffin_lim(given))  # nothing is learned yet
    assert set(network.state_dict()) - set(Generator(SMALL, MEL).state_dict()) == {"griffin_lim.mel_spec"}


def test_a_griffin_lim_excitation_sees_no_farther_than_it_says():
    excite = GriffinLim(MEL, 2).double().eval()
    given = torch.randn(1, 8, 41, dtype=torch.float64).repeat(41, 1, 1)
    changed = given.clone()
    changed[range(41), :, range(41)] += 0.5
    gaps = (excite(changed) - excite(given))[:, 20 * 16 : 21 * 16].abs().amax(1)
    reached = gaps.nonzero().flatten()
    assert max(20 - int(reached.min()), int(reached.max()) - 20) == excite.context()


def test_shapes_that_cannot_work_are_refused_with_their_arithmetic():
    for changes, message in (
        ({"layers": 5}, "5 layers do not make 2 equal stacks"),
        ({"gates": 5}, "5 gate channels have no half"),
        ({"layers": 40}, "20 layers of a stack, which is too far; use more stacks, at least 3"),
    ):
        with pytest.raises(ConfigError, match=message):
            replace(SMALL, **changes)
    with pytest.raises(ConfigError, match=r"4 x 4 x 4 x 4 = 256 do not give the 16 samples of a hop"):
        Generator(Shape(), MEL)
    with pytest.raises(ConfigError, match=r"hops of 64 samples do not overlap in windows of 64"):
        GriffinLim(replace(MEL, hop_length=64), 2)
