"""R3GAN's networks."""

import pytest
import torch

from polygan_image.networks.r3gan import Discriminator, Generator, Residual


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 56), (64, 64)])
def test_shapes_of_every_size(size):
    g, d = Generator(1, *size, 4, 5), Discriminator(1, *size, 4)
    image = g(torch.randn(2, 5))
    assert image.shape == (2, 1, *size)
    assert d(image).shape == (2,)


def test_each_branch_starts_at_zero_and_mixes_groups_only():
    x = torch.randn(2, 8, 6, 6)
    block = Residual(8, 4, 12)
    assert torch.equal(block(x), x)
    assert block.branch[2].weight.shape == (16, 4, 3, 3)
    wide = Residual(64, 16, 16)
    assert wide.branch[0].weight.std().item() == pytest.approx((2 / 1.04 / 64) ** 0.5 / 2, rel=0.1)  # 16^-1/4 = 1/2
