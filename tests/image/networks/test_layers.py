"""Layers of style-based networks against direct computations."""

import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import plain

from polygan_image.networks.layers import (
    EqualConv,
    EqualLinear,
    MinibatchStd,
    ModulatedConv,
    Resample,
    SynthesisLayer,
    normalise,
)


def direct(x, kind):
    """Each output pixel as a sum over the taps, with zeros outside."""
    taps = [1 / 8, 3 / 8, 3 / 8, 1 / 8]
    h, w = x.shape

    def at(i, j):
        return float(x[i, j]) if 0 <= i < h and 0 <= j < w else 0.0

    if kind == "up":  # tap of an inserted pixel: output o lies over input (o + 2 - tap) / 2, twice the gain an axis

        def near(o):
            return [((o + k - 2) // 2, 2 * taps[k]) for k in range(4) if (o + k - 2) % 2 == 0]

        out = (2 * h, 2 * w)
    else:
        stride, pad = {"down": (2, 1), "blur": (1, 1), "antialias": (1, 2)}[kind]
        gain = 2.0 if kind == "blur" else 1.0

        def near(o):
            return [(stride * o + k - pad, gain * taps[k]) for k in range(4)]

        out = {"down": (h // 2, w // 2), "blur": (h - 1, w - 1), "antialias": (h + 1, w + 1)}[kind]
    return torch.tensor(
        [[sum(a * b * at(i, j) for i, a in near(p) for j, b in near(q)) for q in range(out[1])] for p in range(out[0])]
    )


@pytest.mark.parametrize("kind", ["up", "down", "blur", "antialias"])
def test_resampling_against_a_direct_sum(kind):
    x = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    y = Resample(kind)(x)
    for n in range(2):
        for c in range(3):
            assert (y[n, c] - direct(x[n, c], kind)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("up", {"up": 2, "pad": (2, 1), "gain": 4.0}),
        ("down", {"down": 2, "pad": (1, 1)}),
        ("blur", {"pad": (1, 1), "gain": 4.0}),
        ("antialias", {"pad": (2, 2)}),
    ],
)
@pytest.mark.parametrize("fir", [plain.each_map, plain.depthwise])
def test_resampling_is_the_zero_insertion_formulation(kind, options, fir):
    x = torch.randn(2, 5, 8, 8)
    torch.testing.assert_close(Resample(kind)(x), plain.upfirdn(x, fir=fir, **options), atol=1e-6, rtol=1e-5)


def test_a_constant_stays_what_it_is_in_the_middle():
    assert torch.allclose(Resample("up")(torch.ones(1, 1, 8, 8))[..., 2:-2, 2:-2], torch.ones(()))
    assert torch.allclose(Resample("down")(torch.ones(1, 1, 8, 8))[..., 1:-1, 1:-1], torch.ones(()))


@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize(("up", "kernel"), [(False, 1), (False, 3), (True, 3)])
def test_a_modulated_convolution_is_one_weight_a_sample(up, demodulate, kernel):
    torch.manual_seed(0)
    m = ModulatedConv(7, 5, kernel, 11, up=up, demodulate=demodulate)
    x, w, bias = torch.randn(4, 7, 8, 8), torch.randn(4, 11), torch.randn(5)
    weight = m.weight / math.sqrt(7 * kernel**2)
    expected = plain.modulated(x, weight, m.style(w), up=up, demodulate=demodulate) + bias[None, :, None, None]
    got = m(x, w, bias)
    assert got.shape == (4, 5, 16, 16) if up else (4, 5, 8, 8)
    assert (got - expected).abs().max() < 1e-5
    given = torch.randn_like(got)
    for parameter in m.parameters():
        ours, theirs = (
            torch.autograd.grad((y * given).sum(), parameter, retain_graph=True)[0] for y in (got, expected)
        )
        assert (ours - theirs).abs().max() < 1e-4 * max(1, float(theirs.abs().max()))


def test_demodulated_outputs_have_unit_variance():
    torch.manual_seed(0)
    m = ModulatedConv(64, 32, 3, 8)
    x, w = torch.randn(8, 64, 16, 16), 5 * torch.randn(8, 8)
    y = m(x, w, torch.zeros(32))[:, :, 1:-1, 1:-1]
    assert y.std((2, 3)).mean().item() == pytest.approx(1, rel=0.05)


def test_an_equalised_layer_keeps_variance_whatever_its_rate():
    torch.manual_seed(0)
    x = torch.randn(4000, 50)
    for rate in (1.0, 0.01):
        assert EqualLinear(50, 40, rate=rate)(x).std().item() == pytest.approx(1, rel=0.05)
    layer = EqualLinear(3, 2, bias=1.0, rate=0.01)
    assert torch.allclose(layer(torch.zeros(1, 3)), torch.ones(1, 2))
    assert layer.weight.std() > 30


def test_an_equalised_convolution_keeps_the_second_moment():
    torch.manual_seed(0)
    y = EqualConv(32, 64, 3)(torch.randn(8, 32, 16, 16))[:, :, 1:-1, 1:-1]
    assert y.square().mean().item() == pytest.approx(
        1, rel=0.07
    )  # sqrt 2 makes up for what leaky ReLU takes, but for 0.04


def test_noise_has_its_own_strength():
    torch.manual_seed(0)
    layer = SynthesisLayer(4, 4, 8)
    x, w, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 8), torch.randn(2, 1, 8, 8)
    assert torch.equal(layer(x, w, noise), layer(x, w, noise * 0))
    with torch.no_grad():
        layer.strength.fill_(0.5)
    inverse = torch.nn.LeakyReLU(5.0)
    difference = inverse(layer(x, w, noise)) - inverse(layer(x, w, noise * 0))
    torch.testing.assert_close(difference, (0.5 * math.sqrt(2) * noise).expand_as(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("n", "most", "size"), [(8, 4, 4), (6, 4, 3), (5, 4, 1), (3, 4, 3), (8, 1, 1)])
def test_minibatch_standard_deviation_of_neighbours(n, most, size):
    x = torch.randn(n, 3, 4, 5)
    y = MinibatchStd(most)(x)
    assert torch.equal(y[:, :3], x)
    for i in range(n):
        group = x[i // size * size :][:size]
        expected = (group.var(0, correction=0) + 1e-8).sqrt().mean()
        assert torch.allclose(y[i, 3], expected.expand(4, 5), atol=1e-6)


def test_normalised_rows_have_unit_mean_square():
    assert torch.allclose(normalise(torch.randn(5, 9) * 7).square().mean(1), torch.ones(5), atol=1e-5)
