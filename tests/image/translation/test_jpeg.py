"""JPEG as tensor arithmetic, against the files that Pillow writes."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from polygan_image.translation.jpeg import jpeg


def picture(channels, height=77, width=90):
    """Waves, an edge and some grain: uint8 (height, width, channels)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / 40
    waves = np.stack([np.sin(7 * x + y), np.cos(5 * x * y), (x > 1) * 1.5 - 0.7], -1)[..., :channels]
    return np.clip(waves * 90 + 128 + rng.normal(0, 8, waves.shape), 0, 255).astype(np.uint8)


def pillows(pixels, quality):
    file = io.BytesIO()
    mode = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(mode).save(file, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(file), np.float32).reshape(pixels.shape)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [20, 50, 75, 95])
def test_pixels_are_those_of_a_jpeg_file(channels, quality):
    pixels = picture(channels)
    image = torch.from_numpy(pixels / 127.5 - 1).float().permute(2, 0, 1)[None]
    ours = ((jpeg(image, torch.tensor([float(quality)]))[0] + 1) * 127.5).permute(1, 2, 0).numpy()
    theirs = pillows(pixels, quality)
    assert np.abs(ours - ours.round()).max() < 1e-3
    apart, lost = (np.abs(x - theirs).mean() for x in (ours, pixels))
    assert apart < min(1.0, lost / 2)  # libjpeg rounds more often


def test_each_picture_has_its_own_quality():
    image = torch.from_numpy(picture(3) / 127.5 - 1).float().permute(2, 0, 1).expand(2, -1, -1, -1)
    both = jpeg(image, torch.tensor([10.0, 90.0]))
    for i, quality in enumerate((10.0, 90.0)):
        assert torch.equal(both[i], jpeg(image[:1], torch.tensor([quality]))[0])
    errors = (both - image).square().mean((1, 2, 3))
    assert errors[0] > 3 * errors[1]


def test_flat_pictures_stay_as_they_are():
    image = torch.full((1, 3, 9, 17), 100 / 127.5 - 1)
    assert torch.allclose(jpeg(image, torch.tensor([90.0])), image, atol=1.01 / 127.5)
