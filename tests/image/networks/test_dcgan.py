"""DCGAN's networks: shapes, the paper's layers and sizes."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_dcgan import recipe

from polygan import ConfigError
from polygan_image.dcgan import Discriminator, Generator
from polygan_image.networks.dcgan import strides

SIZES = [(28, 28), (32, 32), (40, 40), (48, 48), (56, 56), (64, 64), (96, 96), (8, 8), (32, 56), (80, 64)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes_of_every_size(size, channels):
    g, d = Generator(channels, *size, 2, 5), Discriminator(channels, *size, 2)
    image = g(torch.randn(2, 5))
    assert image.shape == (2, channels, *size)
    assert image.abs().max() <= 1
    assert d(image).shape == (2,)


def test_parameter_counts_are_those_of_the_pytorch_example():
    """The generator and discriminator of pytorch/examples/dcgan at 64x64x3, nz 100, ngf = ndf = 64."""
    g, d = Generator(3, 64, 64), Discriminator(3, 64, 64)
    assert sum(p.numel() for p in g.parameters()) == 3_576_704
    assert sum(p.numel() for p in d.parameters()) == 2_765_568


def test_layers_are_those_of_the_paper():
    g, d = Generator(3, 64, 64), Discriminator(3, 64, 64)
    ups = [m for m in g.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    downs = [m for m in d.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(m.in_channels, m.out_channels) for m in ups] == [(512, 256), (256, 128), (128, 64), (64, 3)]
    assert [(m.in_channels, m.out_channels) for m in downs] == [(3, 64), (64, 128), (128, 256), (256, 512)]
    assert {(*m.kernel_size, *m.stride) for m in ups + downs} == {(4, 4, 2, 2)}
    assert not [m for m in d.downsample[:2] if isinstance(m, torch.nn.BatchNorm2d)]
    for m in ups + downs:
        assert m.weight.std().item() == pytest.approx(0.02, rel=0.05)
    for m in g.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            assert m.weight.mean().item() == pytest.approx(1, abs=0.02)
            assert 0 < m.weight.std().item() < 0.04


def test_widths_stop_at_eight_times():
    ups = [m for m in Generator(1, 256, 256, 1).modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert [m.in_channels for m in ups] == [8, 8, 8, 4, 2, 1]


@pytest.mark.parametrize(("height", "width", "k"), [(28, 28, 2), (32, 32, 3), (64, 64, 4), (32, 56, 3), (14, 8, 1)])
def test_strides(height, width, k):
    assert strides(height, width) == k


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((30, 30), ["30x30", "28, 32", "--data.resolution 28"]),
        ((65, 65), ["64, 80", "--data.resolution 64"]),
        ((36, 36), ["32, 40"]),
        ((60, 32), ["32x60", "32, 56, 64", "--data.resolution 56"]),
        ((32, 64), ["64x32", "32, 64", "--data.resolution 64"]),
        ((64, 100), ["100x64", "--data.resolution 96, or 96x64 for width x height"]),
        ((7, 7), ["--data.resolution 8"]),
        ((1, 1), ["--data.resolution 8"]),
        ((99999, 99999), ["--data.resolution 14336"]),
    ],
)
def test_a_size_out_of_reach_is_refused_before_anything_is_built(size, words):
    with pytest.raises(ConfigError) as error:
        recipe(size=size)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_suggested_sizes_work():
    for size in range(8, 200):
        try:
            strides(size, size)
        except ConfigError as error:
            best = int(str(error).rpartition(" ")[2])
            assert strides(best, best) >= 1
            assert abs(best - size) <= size / 8 + 1


def test_at_first_the_latent_speaks_louder_than_the_class():
    """Otherwise the generator settles on one picture per class, whatever the latent says."""
    g = Generator(1, 28, 28, 16, classes=10)
    latent, label = torch.randn(64, 100), torch.arange(64) % 10
    with torch.no_grad():
        pictures = g.project(torch.cat([latent, g.embedding(label)], 1))
        by_class = torch.stack([pictures[label == k].mean(0) for k in range(10)])
    within = (pictures - by_class[label]).square().mean()
    classes = g.project.weight[:, 100:] @ (g.embedding.weight - g.embedding.weight.mean(0)).T
    assert classes.square().mean() < 0.2 * within


def test_the_projection_is_linear_in_the_embedding():
    d = recipe(norm="none").networks()["discriminator"].eval()
    image, label = torch.randn(2, 1, 8, 8), torch.tensor([0, 2])
    h = d.downsample(image)
    expected = h @ d.logit.weight[0] + d.logit.bias
    expected += torch.stack([h[0] @ d.embedding.weight[0], h[1] @ d.embedding.weight[2]])
    torch.testing.assert_close(d(image, label), expected)
