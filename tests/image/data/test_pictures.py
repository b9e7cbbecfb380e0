"""Pictures as arrays: modes, depths, orientation, transparency, resizing."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from made_pictures import gradient, one, source

from polygan import DataError
from polygan_image.data import pictures


def test_grey_and_colour_are_kept(tmp_path):
    grey = gradient()
    np.testing.assert_array_equal(one(tmp_path / "g", "a.png", Image.fromarray(grey)), grey[None])
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(one(tmp_path / "c", "a.png", Image.fromarray(colour)), colour.transpose(2, 0, 1))


def test_sixteen_bits_beside_eight_are_scaled(tmp_path):
    values = np.linspace(0, 65_535, 64).reshape(8, 8).astype(np.uint16)
    Image.fromarray(gradient()).save(tmp_path / "z.png")
    image = one(tmp_path, "a.png", Image.fromarray(values))
    np.testing.assert_allclose(image[0], values / 257, atol=0.51)
    assert image.max() == 255  # clipping would make three quarters of them 255
    assert (image == 255).sum() < 2


def test_sixteen_bits_are_resized_without_overshoot(tmp_path):
    values = np.zeros((16, 16), np.uint16)
    values[:, 8:] = 65_535
    Image.fromarray(gradient()).save(tmp_path / "z.png")
    image = one(tmp_path, "a.png", Image.fromarray(values), resolution=8)
    assert image.dtype == np.uint8
    assert image.shape == (1, 8, 8)
    assert image[0, :, 0].max() < 20
    assert image[0, :, -1].min() > 235


def test_float_picture_outside_its_range_beside_bytes_is_named(tmp_path):
    Image.fromarray(np.full((4, 4), 3.5, np.float32)).save(tmp_path / "a.tif")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "b.tif")
    with pytest.raises(DataError, match=r"from 3\.5 to 3\.5.*\[0, 1\]"):
        source(tmp_path).decode(0)


def test_alpha_is_laid_on_white(tmp_path):
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 8, 4))
    image = one(tmp_path, "a.png", picture, channels=3)
    assert image[:, 0, 0].tolist() == [255, 0, 0]
    assert image[:, 7, 0].tolist() == [255, 255, 255]
    assert source(tmp_path, channels=1).decode(0)["image"][0, 7, 0] == 255
    kept = source(tmp_path)
    assert kept.info["channels"] == 4
    assert kept.decode(0)["image"][3, :, 0].tolist() == [255] * 4 + [0] * 4


def test_palette_with_transparency(tmp_path):
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([0, 0, 255, 10, 200, 30])
    picture.paste(1, (0, 0, 8, 4))
    picture.save(tmp_path / "a.png", transparency=0)
    image = source(tmp_path, channels=3).decode(0)["image"]
    assert image[:, 0, 0].tolist() == [10, 200, 30]
    assert image[:, 7, 0].tolist() == [255, 255, 255]
    assert source(tmp_path).info["channels"] == 4


def test_cmyk(tmp_path):
    image = one(tmp_path, "a.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)), quality=95)
    assert image.shape == (3, 16, 16)
    red, green, blue = image[:, 8, 8].astype(int)
    assert red > 240
    assert green < 15
    assert blue < 15


def test_exif_orientation_turns_picture_and_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: to be turned by 90 degrees clockwise
    values = np.zeros((8, 24), np.uint8)
    values[:, :4] = 255  # the left edge becomes the upper one
    made = one(tmp_path, "a.jpg", Image.fromarray(values), exif=exif, quality=100)
    assert made.shape == (1, 24, 8)
    assert made[0, 0].min() > 200
    assert made[0, -1].max() < 50


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("L", (8, 8), v) for v in (200, 10)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert source(tmp_path, channels=1).decode(0)["image"].min() >= 195


def test_crop_takes_the_centre_and_pad_keeps_all(tmp_path):
    values = np.zeros((8, 24), np.uint8)
    values[:, 8:16] = 200
    Image.fromarray(values).save(tmp_path / "a.png")
    cropped = source(tmp_path, resolution=8).decode(0)["image"]
    assert cropped.shape == (1, 8, 8)
    assert cropped.min() == 200
    padded = source(tmp_path, resolution=24, fit="pad").decode(0)["image"][0]
    np.testing.assert_array_equal(padded[8:16], values)
    assert padded[:8].max() == padded[16:].max() == 0


def test_pad_of_an_extreme_shape(tmp_path):
    image = one(tmp_path, "a.png", Image.new("L", (2000, 2), 90), resolution=16, fit="pad")
    assert image.shape == (1, 16, 16)
    assert (image == 90).any(axis=1).sum() == 16  # one row is left of it


def test_shrinking_is_antialiased(tmp_path):
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    image = one(tmp_path, "a.png", Image.fromarray(checks), resolution=16)
    assert 120 < image.min() <= image.max() < 136  # picking pixels would give 0 or 255
    assert source(tmp_path).info["filter"] == "lanczos"


def test_max_pixels_can_be_set(tmp_path):
    Image.new("L", (40, 40)).save(tmp_path / "1.png")
    Image.new("L", (20, 20)).save(tmp_path / "2.png")
    found = source(tmp_path, max_pixels=1000)
    assert found.info["height"] == 20
    with pytest.raises(DataError, match=r"40x40 are more than .*type --data\.max_pixels 1600"):
        found.decode(0)
    assert source(tmp_path, max_pixels=1600, resolution=20).decode(0)["image"].shape == (1, 20, 20)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".gif"])
def test_max_pixels_goes_beyond_the_limit_of_pillow(tmp_path, monkeypatch, suffix):
    Image.new("RGB", (80, 80), "red").save(tmp_path / f"a{suffix}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert source(tmp_path, max_pixels=6400).decode(0)["image"].shape == (3, 80, 80)
    assert Image.MAX_IMAGE_PIXELS == 1000
    with pytest.raises(
        DataError, match=r"80x80 are more than data\.max_pixels = 6,399 pixels; type --data\.max_pixels 6400"
    ):
        source(tmp_path, max_pixels=6399)
    with pytest.raises(DataError, match=r"more than 1,000 pixels; make the picture smaller"):
        pictures.open_picture(tmp_path / f"a{suffix}", None, lambda picture: picture)


def test_one_picture_only(tmp_path):
    assert one(tmp_path, "a.png", Image.new("RGB", (6, 4))).shape == (3, 4, 6)


@pytest.mark.parametrize(("fit", "size", "refused"), [
    ("crop", (16, 16), False), ("crop", (16, 12), True), ("pad", (16, 12), False), ("pad", (12, 12), True), ("crop", (40, 20), False),
])  # fmt: skip
def test_small_pictures_are_enlarged_or_refused_as_asked(tmp_path, fit, size, refused):
    Image.fromarray(gradient(*size)).save(tmp_path / "a.png")
    assert source(tmp_path, resolution=16, fit=fit).decode(0)["image"].shape == (1, 16, 16)
    strict = source(tmp_path, resolution=16, fit=fit, smaller="refuse")
    if refused:
        with pytest.raises(DataError, match=rf"{size[0]}x{size[1]} pixels are too few for 16x16") as error:
            strict.decode(0)
        assert "\n" not in str(error.value)
    else:
        assert strict.decode(0)["image"].shape == (1, 16, 16)
    assert strict.fingerprint() != source(tmp_path, resolution=16, fit=fit).fingerprint()


def test_grid_of_bytes_can_be_read_back():
    stream = io.BytesIO(pictures.png(Image.new("RGBA", (3, 2), (1, 2, 3, 4))))
    assert Image.open(stream).getpixel((0, 0)) == (1, 2, 3, 4)


def test_padding_has_the_colour_that_transparency_lies_on():
    for mode, colour in (("RGBA", (9, 9, 9, 255)), ("RGB", (9, 9, 9))):
        array = pictures.to_array(Image.new(mode, (8, 4), colour), (8, 8), 3, "pad")
        assert (int(array[:, 0].max()), int(array[:, 4].max())) == (0, 9)
    clear = pictures.to_array(Image.new("RGBA", (8, 4), (9, 9, 9, 0)), (8, 8), 3, "pad")
    assert clear.min() == 255  # what is transparent lies on white, and so do the bars


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_background_for_transparency_and_padding(fit, channels):
    clear, half = Image.new("RGBA", (8, 4), (200, 9, 9, 0)), Image.new("RGBA", (8, 4), (0, 0, 255, 128))
    red = [76] if channels == 1 else [255, 0, 0]
    array = pictures.to_array(clear, (6, 6), channels, fit, background="red")
    assert array.reshape(channels, -1).T.tolist() == [red] * 36
    mixed = pictures.to_array(half, (6, 6), channels, fit, background="#ff0000")[:, 3, 3]
    assert mixed.tolist() == ([53] if channels == 1 else [127, 0, 128])
    opaque = pictures.to_array(Image.new("L", (8, 4), 9), (6, 6), channels, fit, background="red")
    assert opaque[:, 0, 0].tolist() == (red if fit == "pad" else [9] * channels)


@pytest.mark.parametrize(("size", "fit"), [((8, 8), "crop"), ((5, 5), "crop"), ((12, 9), "pad"), ((5, 9), "stretch")])
def test_invisible_colour_is_neither_kept_nor_mixed_in(size, fit):
    hidden = np.zeros((8, 8, 4), np.uint8)
    hidden[..., 0] = 255  # red everywhere, but only the right half is seen, in blue
    hidden[:, 4:] = (0, 0, 255, 255)
    array = pictures.to_array(Image.fromarray(hidden), size, 4, fit)
    seen = array[3] > 0
    assert array[:3, ~seen].max() == 0
    assert array[0, seen].max() <= 2
    assert seen.any()
    assert not seen.all()


def test_bars_of_pictures_with_alpha_are_transparent():
    for mode in ("L", "RGB", "RGBA"):
        array = pictures.to_array(Image.new(mode, (8, 4), "white"), (8, 8), 4, "pad", background="red")
        assert array[:, 0, 0].tolist() == [0, 0, 0, 0]
        assert array[:, 4, 0].tolist() == [255] * 4


def test_stretch_keeps_all_of_a_picture():
    values = np.repeat(np.array([[10, 200]], np.uint8), 4, axis=1).repeat(2, axis=0)
    array = pictures.to_array(Image.fromarray(values), (4, 4), 1, "stretch")[0]
    assert array.shape == (4, 4)
    assert array[:, 0].max() < 40
    assert array[:, -1].min() > 170
    with pytest.raises(DataError, match="too few"):
        pictures.to_array(Image.fromarray(values), (4, 4), 1, "stretch", enlarge=False)


def test_the_picture_of_a_caller_is_not_changed():
    picture = Image.new("RGB", (8, 4), "red")
    picture.getexif()[0x0112] = 6
    assert pictures.to_array(picture, (4, 8), 3, "crop").shape == (3, 8, 4)
    assert picture.size == (8, 4)


def test_memory_that_runs_out_is_no_fault_of_the_picture(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")

    def read(picture):
        raise MemoryError

    with pytest.raises(MemoryError):
        pictures.open_picture(tmp_path / "a.png", None, read)


def test_bytes_of_what_is_out_of_range_or_no_number():
    data = torch.tensor([-3.0, 5.0, float("nan"), float("inf")]).view(1, 1, 2, 2)
    assert pictures.to_bytes(data).ravel().tolist() == [0, 255, 128, 255]
