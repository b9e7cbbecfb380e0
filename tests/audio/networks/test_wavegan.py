"""The generators of short sounds: the paper's sizes, lengths, sines of notes, pictures."""

from __future__ import annotations

import pytest
import torch

from polygan import ConfigError
from polygan_audio.networks.wavegan import Generator, Harmonics, Longer, MelGenerator, doublings_for, layers_for


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_the_generator_has_the_layers_of_the_paper():
    """Table 3 for d = 64, 16,384 samples: a dense layer to (16, 16 d), then 512, 256, 128, 64 and 1 channels, kernels of 25."""
    with torch.device("meta"):
        generator = Generator(16_384, 64, 100)
        assert [p.numel() for p in generator.first.parameters()] == [100 * 16 * 1024, 16 * 1024]
        widths = [1024, 512, 256, 128, 64, 1]
        for layer, a, b in zip(generator.layers, widths, widths[1:], strict=False):
            assert parameters(layer) == a * b * 25 + b
        assert len(generator.layers) == 5
        assert parameters(generator) == 19_065_345
        assert generator(torch.zeros(3, 100)).shape == (3, 16_384)
        assert (
            parameters(Generator(65_536, 64, 100)) == 19_065_345 + 100 * 16 * 1024 + 16 * 1024 + 2048 * 1024 * 25 + 1024
        )


@pytest.mark.parametrize(
    ("samples", "first", "count"), [(1024, 16, 3), (16_384, 16, 5), (32_768, 32, 5), (65_536, 16, 6)]
)
def test_lengths_are_a_beginning_times_a_power_of_four(samples, first, count):
    assert layers_for(samples) == (first, count)
    assert first * 4**count == samples
    assert Generator(samples, 1, 4)(torch.zeros(1, 4)).shape == (1, samples)


@pytest.mark.parametrize(("samples", "near"), [(22_050, 22_528), (1000, 1024), (0, 1024)])
def test_other_lengths_are_refused_with_one_that_fits(samples, near):
    with pytest.raises(ConfigError, match=f"--data.segment {near}$"):
        layers_for(samples)
    layers_for(near)


@pytest.mark.parametrize("nearest", [False, True])
def test_a_layer_makes_four_samples_of_one_and_keeps_their_size(nearest):
    torch.manual_seed(0)
    layer = Longer(64, 64, nearest=nearest)
    x = torch.randn(2, 64, 100).relu()
    made = layer(x)
    assert made.shape == (2, 64, 400)
    inside = made[..., 50:-50]
    assert float(inside.detach().square().mean() / (2 * x.square().mean())) == pytest.approx(1, abs=0.25)


def test_repeated_samples_make_no_tone_of_their_own():
    """A constant through repeated samples is constant inside; through a transposed convolution it repeats with period 4."""
    for nearest, constant in ((True, True), (False, False)):
        torch.manual_seed(0)
        inside = Longer(1, 1, nearest=nearest)(torch.ones(1, 1, 100))[0, 0, 100:140]
        assert bool((inside.std() < 1e-6).item()) == constant
        torch.testing.assert_close(inside[:36], inside[4:])


def test_the_class_is_needed_and_decides():
    generator = Generator(1024, 2, 4, classes=3)
    z = torch.randn(2, 4)
    made = [generator(z, torch.full((2,), c)) for c in range(3)]
    assert not torch.allclose(made[0], made[1])
    with pytest.raises(ConfigError, match=r"pass label \(n,\)"):
        generator(z)


def test_sines_have_the_pitch_of_the_class_and_end_below_half_the_rate():
    rate, samples = 16_000, 16_384
    sines = Harmonics(2, samples, [500.0, 3000.0], 4, rate)
    with torch.no_grad():
        sines.strengths.weight.zero_()
        sines.strengths.bias.fill_(1.0)
        made = sines(torch.zeros(2, 2, 256), torch.tensor([0, 1]))
    spectrum = torch.fft.rfft(made * torch.hann_window(samples)).abs()
    hertz = torch.arange(spectrum.shape[1]) * rate / samples
    for row, wanted in ((0, [500, 1000, 1500, 2000]), (1, [3000, 6000])):  # 9000 Hz and 12,000 Hz would fold
        loud = hertz[spectrum[row] > spectrum[row].max() / 4]
        assert sorted({round(float(f) / 100) * 100 for f in loud}) == wanted


def test_sines_are_added_where_the_classes_have_pitches():
    known = {"classes": 2, "rate": 16_000}
    plain, sung = Generator(4096, 2, 4, **known), Generator(4096, 2, 4, **known, pitches=[200.0, 300.0], harmonics=3)
    assert plain.harmonics is None
    assert parameters(sung) - parameters(plain) == (8 + 1) * 6  # two strengths of three sines from 8 channels
    assert "harmonics.cycles" not in sung.state_dict()
    made = sung(torch.randn(2, 4), torch.tensor([0, 1]))
    made.square().mean().backward()
    assert float(sung.harmonics.strengths.weight.grad.abs().sum()) > 0


def test_pictures_start_around_the_mean_of_log_mels():
    torch.manual_seed(0)
    generator = MelGenerator((80, 64), (-5.0, 5.0), 4, 8, classes=2)
    made = generator(torch.randn(16, 8), torch.arange(16) % 2)
    assert made.shape == (16, 80, 64)
    assert float(made.detach().mean()) == pytest.approx(-5, abs=2)
    assert 0.1 < float(made.detach().std()) < 10


def test_pictures_are_never_below_silence():
    torch.manual_seed(0)
    generator = MelGenerator((16, 16), (-5.0, 5.0), 4, 8)
    latent = torch.randn(8, 8)
    with torch.no_grad():
        near = generator(latent)  # too near the mean to be bounded
        generator.last.weight *= 20.0
    made = generator(latent)
    silent = made == -10.0
    assert 0.1 < float(silent.float().mean()) < 0.9
    torch.testing.assert_close(made, (-5.0 + 20.0 * (near + 5.0)).clamp(min=-10.0))
    made.sum().backward()
    assert float(generator.last.bias.grad) == pytest.approx(5.0 * int((~silent).sum()))  # what is silent has no slope


def test_pictures_are_doubled_as_often_as_their_sides_can_be_halved():
    assert doublings_for(80, 64) == 4
    assert doublings_for(20, 64) == 2
    with pytest.raises(ConfigError, match=r"80 bands and 63 frames .* --model.n_mels"):
        doublings_for(80, 63)
