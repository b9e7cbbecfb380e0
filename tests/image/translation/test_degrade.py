"""Pictures made smaller and worse: numbers of Pillow, borders, sizes, and what a camera does."""

import numpy as np
import pytest
import torch
from PIL import Image

from polygan import ConfigError, Noise
from polygan_image.translation import degrade
from polygan_image.translation.degrade import camera, shrink, whole


def photograph(height=48, width=64):
    """A smooth picture with an edge, (1, 3, height, width) in [-1, 1]."""
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    picture = torch.stack([torch.sin(6 * x + 4 * y), torch.cos(9 * x * y), (x > 0.4).float() * 1.6 - 0.8])
    return picture[None]


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_shrink_equals_pillow(factor):
    x = photograph()
    channels = ((x[0] + 1) * 127.5).numpy()
    size = (x.shape[3] // factor, x.shape[2] // factor)
    pillow = [
        np.asarray(Image.fromarray(c[: size[1] * factor, : size[0] * factor]).resize(size, Image.Resampling.BICUBIC))
        for c in channels
    ]
    ours = (shrink(x, factor)[0] + 1) * 127.5
    assert np.abs(np.clip(pillow, 0, 255) - ours.numpy()).max() < 1e-3  # of 255


def test_shrink_leaves_constants_and_a_factor_of_1_alone():
    assert torch.allclose(shrink(torch.full((2, 1, 8, 12), 0.7), 2), torch.full((2, 1, 4, 6), 0.7), atol=1e-6)
    x = photograph()
    assert torch.equal(shrink(x, 1), x)


def test_rows_and_columns_without_a_whole_pixel_are_dropped():
    x = photograph(19, 22)
    assert torch.equal(shrink(x, 4), shrink(x[:, :, :16, :20], 4))
    assert whole(x, 4).shape == (1, 3, 16, 20)


def test_a_picture_smaller_than_the_factor_is_refused():
    with pytest.raises(ConfigError, match="3x8 pixels cannot be made 4 times smaller"):
        shrink(torch.zeros(1, 3, 8, 3), 4)


def test_shrink_runs_on_the_meta_device():
    assert shrink(torch.zeros(2, 3, 32, 16, device="meta"), 2).shape == (2, 3, 16, 8)


# The camera


def many(n=6, channels=3, side=32):
    return photograph(side, side)[:, :channels].expand(n, -1, -1, -1)


def test_the_camera_gives_each_picture_its_own_numbers_and_repeats_by_counter():
    once, again, later = (camera(many(), 2, Noise().reset(step)) for step in (3, 3, 4))
    assert once.shape == (6, 3, 16, 16)
    assert torch.equal(once, again)
    assert not torch.equal(once, later)
    assert not torch.equal(once[0], once[1])
    assert once.abs().max() <= 1


def test_the_camera_does_not_depend_on_the_number_of_processes():
    whole = camera(many(), 2, Noise().reset(7))
    halves = [camera(many(3), 2, Noise().reset(7, part=part, parts=2)) for part in (0, 1)]
    assert torch.allclose(whole, torch.cat(halves), atol=1e-6)


@pytest.mark.parametrize("factor", [2, 4])
def test_the_camera_keeps_brightness_and_loses_detail(factor):
    x = many(32)
    clean, poor = shrink(x, factor), camera(x, factor, Noise().reset(1))
    assert (poor.mean((1, 2, 3)) - clean.mean((1, 2, 3))).abs().max() < 0.06
    errors = (poor - clean).square().mean((1, 2, 3)).sqrt()
    assert 0.01 < float(errors.min()) < float(errors.max()) < 0.6


def test_noise_is_grey_in_a_part_of_the_pictures():
    flat, kind = torch.zeros(4, 3, 64, 64), torch.tensor([0.1, 0.3, 0.6, 0.9])
    made = degrade._noisy(flat, kind, torch.ones(4), Noise().reset(0).normal(4, 3, 64, 64))
    same = (made[:, 0] == made[:, 1]).all(2).all(1)
    assert same.tolist() == [True, False, True, False]
    expected = torch.tensor([15, 15, 12 / 2**0.5, 12 / 2**0.5]) / 127.5  # shot noise follows the root of the light
    assert torch.allclose(made.std((1, 2, 3)), expected, rtol=0.05)


def test_blur_spreads_along_the_drawn_direction():
    point = torch.zeros(2, 1, 41, 41)
    point[:, :, 20, 20] = 1
    ones = torch.ones(2)
    made = degrade._blurred(point, 4, ones, 0 * ones, 0.9 * ones, torch.tensor([0.0, 0.5]))[:, 0]
    place = torch.arange(41.0) - 20
    along_x, along_y = ((made.sum(axis) * place.square()).sum(1).sqrt() for axis in (1, 2))
    assert torch.allclose(made.sum((1, 2)), ones)
    assert along_x[0] > 2.8 > 0.3 > along_y[0]
    assert along_y[1] > 2.8 > 0.3 > along_x[1]


def test_the_camera_runs_on_the_meta_device():
    assert camera(torch.zeros(2, 3, 34, 20, device="meta"), 2, Noise("meta")).shape == (2, 3, 17, 10)
