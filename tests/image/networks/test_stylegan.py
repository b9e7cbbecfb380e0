"""StyleGAN2's networks against the plain formulation."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import plain
from small_stylegan import awake, generator

from polygan import ConfigError
from polygan_image.networks.stylegan import Discriminator, Generator, check_size


@pytest.mark.parametrize(("side", "channels"), [(32, 1), (64, 3), (128, 4), (256, 3)])
def test_shapes_of_every_size(side, channels):
    g = Generator(channels, side, latent_dim=8, channel_base=side, channel_max=4)
    d = Discriminator(channels, side, channel_base=side, channel_max=4)
    noise = [torch.randn(2, 1, s, s) for s in g.noise_sizes]
    image = g(torch.randn(2, 8), noise)
    assert image.shape == (2, channels, side, side)
    assert d(image).shape == (2,)
    assert g.style_count == 2 * side.bit_length() - 4


def test_the_size_that_the_benchmark_names():
    g, d = Generator(3, 64), Discriminator(3, 64)
    assert sum(p.numel() for p in g.parameters()) == pytest.approx(4.5e6, rel=0.05)
    assert sum(p.numel() for p in d.parameters()) == pytest.approx(4.7e6, rel=0.05)


def test_the_networks_are_the_plain_formulation():
    torch.manual_seed(0)
    g = awake(Generator(3, 32, latent_dim=16, channel_base=512, channel_max=24))
    d = awake(Discriminator(3, 32, channel_base=512, channel_max=24))
    styles = g.styles(torch.randn(8, 16))
    noise = [torch.randn(8, 1, s, s) for s in g.noise_sizes]
    image = g.synthesise(styles, noise)
    expected = plain.synthesise(g, styles, noise)
    assert (image - expected).abs().max() < 1e-4 * expected.abs().max()
    logits = plain.discriminate(d, expected)
    assert (d(expected) - logits).abs().max() < 1e-4 * logits.abs().max()


def test_styles_cross_over_where_they_are_told():
    g = generator(())
    z, other = torch.randn(3, 12), torch.randn(3, 12)
    first, second = g.styles(z), g.styles(other)
    crossover = torch.tensor([1, 4, g.style_count])
    styles = g.styles(z, None, other, crossover)
    for i, k in enumerate(crossover.tolist()):
        assert torch.equal(styles[i, :k], first[i, :k])
        assert torch.equal(styles[i, k:], second[i, k:])


def test_the_mean_latent_follows_in_training_only():
    g = generator(())
    z = torch.randn(64, 12)
    g.styles(z)
    assert not g.mean_latent.any()
    g.train().styles(z)
    torch.testing.assert_close(g.mean_latent, g.mapping(z).mean(0) * 0.002, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("width", "height", "best"), [(28, 28, 32), (512, 512, 256), (48, 48, 64), (64, 32, 64), (16, 16, 32), (72, 72, 64)]
)
def test_other_sizes_are_refused_in_one_line(width, height, best):
    with pytest.raises(ConfigError, match=rf"{width}x{height} pixels.*--data.resolution {best}$") as error:
        check_size(height, width)
    assert "\n" not in str(error.value)
