"""SNGAN's networks."""

import pytest
import torch

from polygan_image.networks.sngan import ClassNorm, Discriminator, Generator


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 32), (32, 56), (64, 64)])
def test_shapes_of_every_size(size):
    g, d = Generator(1, *size, 2, 5), Discriminator(1, *size, 2)
    image = g(torch.randn(2, 5))
    assert image.shape == (2, 1, *size)
    assert image.abs().max() <= 1
    assert d(image).shape == (2,)


def test_the_discriminator_of_32_pixels_is_the_papers():
    """Miyato et al. 2018, table 4: two blocks that halve, two that do not, sum, linear."""
    d = Discriminator(3, 32, 32)
    assert [b.down for b in d.blocks[:-1]] == [True, True, False, False]
    assert d.blocks(torch.randn(1, 3, 32, 32)).shape[2:] == (8, 8)


def test_a_class_scales_and_shifts_its_own_samples():
    norm = ClassNorm(2, 3).eval()
    with torch.no_grad():
        norm.table.weight[1] = torch.tensor([1.0, 0.0, 0.5, 0.0])  # scale 2, shift 0.5 of the first channel
    x = torch.randn(3, 2, 4, 4)
    y, plain = norm(x, torch.tensor([0, 1, 1])), norm(x, torch.tensor([0, 0, 0]))
    assert torch.equal(y[0], plain[0])
    torch.testing.assert_close(y[1:, 0], plain[1:, 0] * 2 + 0.5)
    assert torch.equal(y[1:, 1], plain[1:, 1])
