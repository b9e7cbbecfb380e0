"""Photographs as a poor camera takes them: their numbers, processes and JPEG."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from photograph import photograph

from polygan import Noise
from polygan_image.data.values.shrinking import shrink
from polygan_image.translation import degrade
from polygan_image.translation.degrade import camera


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
