"""Pictures made smaller: numbers of Pillow, borders and sizes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from photograph import photograph

from polygan import ConfigError
from polygan_image.data.values.shrinking import shrink, whole


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
