"""Files of made pictures have the values of the data; reports show any values and channels."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from polygan import ConfigError, Samples
from polygan_image.data.values import windows
from polygan_image.domain import ImageDomain

DOMAIN = ImageDomain()


def samples(values, window, dtype, **options):
    """Samples of values (n, C, H, W), as a perfect network makes them."""
    facts = {"window": list(window), "dtype": dtype}
    return Samples(windows.to_unit(torch.from_numpy(values), facts), DOMAIN, extra=facts, **options)


def back(path):
    if path.suffix == ".npy":
        return np.load(path)
    with Image.open(path) as picture:
        return np.asarray(picture)


def info(values, window, dtype):
    _, channels, height, width = values.shape
    return {"channels": channels, "height": height, "width": width, "window": list(window), "dtype": dtype}


CASES = [("uint16", 1, ".png"), ("uint16", 1, ".tif"), ("uint16", 3, ".npy"), ("int16", 1, ".npy"), ("uint16", 5, ".npy"),
         ("uint8", 1, ".png"), ("uint8", 4, ".png"), ("uint8", 2, ".npy"), ("uint8", 3, ".webp")]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("dtype", "channels", "suffix"), CASES)
def test_whole_numbers_are_written_and_read_back_exactly(tmp_path, dtype, channels, suffix, seed):
    rng, bounds = np.random.default_rng(seed), np.iinfo(dtype)
    low, high = sorted(rng.choice(np.arange(bounds.min, bounds.max + 1), 2, replace=False).tolist())
    values = rng.integers(low, high + 1, (1, channels, 5, 7)).astype(dtype)
    path = tmp_path / f"a{suffix}"
    made = samples(values, (low, high), dtype)
    DOMAIN.write_file(iter([made]), path)
    found = back(path)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.reshape(5, 7, channels).transpose(2, 0, 1), values[0])
    if channels != 4:  # of 4 channels, invisible pixels lose their colours
        (again,) = DOMAIN.read(path, info(values, (low, high), dtype))
        assert torch.equal(again.data, made.data)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_floats_are_written_and_read_back_to_the_bit(tmp_path, suffix, seed):
    rng = np.random.default_rng(seed)
    low = float(rng.normal() * 10.0 ** rng.integers(-9, 9))
    window, path = (low, low + 10.0 ** rng.integers(-3, 9)), tmp_path / f"a{suffix}"
    made = Samples(torch.from_numpy(rng.uniform(-1, 1, (1, 1, 6, 5)).astype(np.float32)), DOMAIN)
    made.extra = {"window": list(window), "dtype": "float32"}
    DOMAIN.write_file(iter([made]), path)
    values = windows.to_values(made.data, made.extra)
    np.testing.assert_array_equal(back(path), values[0, 0])
    (again,) = DOMAIN.read(path, info(values, window, "float32"))
    assert torch.equal(again.data, windows.to_unit(torch.from_numpy(values), made.extra))


@pytest.mark.parametrize(
    ("dtype", "channels", "suffix", "able"),
    [("float32", 1, ".png", "npy, tif, tiff"), ("int16", 1, ".png", "npy"), ("uint16", 1, ".jpg", "png, npy, tif, tiff"),
     ("uint16", 3, ".png", "npy"), ("uint8", 2, ".png", "npy"), ("uint8", 1, ".jpg", "png, npy, tif, tiff")],
)  # fmt: skip
def test_a_file_that_would_lose_values_is_refused(tmp_path, dtype, channels, suffix, able):
    made = samples(np.zeros((1, channels, 4, 4), dtype), (0, 9), dtype)
    with pytest.raises(
        ConfigError, match=rf"a{suffix} file cannot hold {dtype} values.*one of {able}$|cannot hold .*one of {able}"
    ):
        DOMAIN.write_file(iter([made]), tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("dtype", "channels", "each"),
    [("uint16", 1, ".png"), ("float32", 1, ".npy"), ("int16", 2, ".npy"), ("uint8", 3, ".png"), ("uint8", 5, ".npy")],
)
def test_a_folder_has_the_values_and_a_grid_for_the_eye(tmp_path, dtype, channels, each):
    values = np.arange(3).reshape(3, 1, 1, 1).repeat(channels, 1).repeat(4, 2).repeat(4, 3).astype(dtype)
    files = samples(values, (0, 9), dtype, names=("a", "b", "c")).save(tmp_path / "out")
    assert [f.name for f in files] == [f"a{each}", f"b{each}", f"c{each}", "grid.png"]
    assert all(np.abs(back(f) - float(i)).max() < 1e-6 for i, f in enumerate(files[:3]))
    assert back(files[-1]).dtype == np.uint8
    samples(values[:1], (0, 9), dtype).save(tmp_path / "out")  # replaces all of them
    assert len([p for p in (tmp_path / "out").iterdir() if p.name[0] != "."]) == 2


def test_one_array_holds_many_pictures(tmp_path):
    values = np.arange(2 * 3 * 4 * 4, dtype=np.int16).reshape(2, 3, 4, 4)
    samples(values, (0, 200), "int16").save(tmp_path / "a.npy")
    np.testing.assert_array_equal(back(tmp_path / "a.npy"), values.transpose(0, 2, 3, 1))
    samples(values[:, :1], (0, 200), "int16").save(tmp_path / "b.npy")
    assert back(tmp_path / "b.npy").shape == (2, 4, 4)


@pytest.mark.parametrize(("channels", "dtype", "mode"), [(1, "uint16", "L"), (2, "float32", "L"), (3, "int16", "RGB"), (4, "uint16", "RGB"), (7, "uint8", "RGB"), (4, "uint8", "RGBA")])  # fmt: skip
def test_reports_show_any_channels_with_the_values_of_black_and_white(channels, dtype, mode):
    values = np.zeros((2, channels, 64, 64), dtype)
    values[:, -1] = 100
    (piece,) = DOMAIN.render(samples(values, (0, 100), dtype))
    sheet = Image.open(io.BytesIO(piece.png))
    assert sheet.mode == mode
    assert piece.caption.startswith("2 pictures of 64x64, black is 0 and white 100")
    shown = {2: "the first channel of 2", 7: "the first 3 of 7 channels"}.get(channels, "")
    shown = "the first 3 of 4 channels" if mode == "RGB" and channels == 4 else shown
    assert piece.caption.endswith(shown)
    assert np.asarray(sheet)[0, 0].max() == (0 if shown else 100 * 255 // 100)
    assert DOMAIN.features(samples(values, (0, 100), dtype)).shape == (2, channels * 256)


def test_the_window_of_two_pictures_is_no_value_of_each():
    made = samples(np.zeros((2, 1, 4, 4), np.uint16), (3, 9), "uint16")
    made.extra["header"] = ["one", "two"]
    assert made[1:].extra == {"window": [3, 9], "dtype": "uint16", "header": ["two"]}
    assert made[[0]].extra["window"] == [3, 9]


def test_made_pictures_get_the_window_of_the_data_and_the_extras_of_what_is_given():
    given = Samples(
        torch.zeros(1, 1, 4, 4), DOMAIN, extra={"window": [0, 1], "dtype": "float32", "header": ["h"], "rows": (0, 4)}
    )
    facts = {"channels": 1, "height": 4, "width": 4}
    deep = {**facts, "window": [0, 4095], "dtype": "uint16"}
    made = Samples(torch.zeros(1, 1, 4, 4), DOMAIN)
    expected = {"window": [0, 4095], "dtype": "uint16", "header": ["h"], "rows": (0, 4)}
    assert DOMAIN.complete(made, given, deep).extra == expected
    assert DOMAIN.complete(made, None, deep).extra == {"window": [0, 4095], "dtype": "uint16"}
    assert DOMAIN.complete(made, None, facts).extra == {}
    own = Samples(made.data, DOMAIN, extra={"window": [1, 2]})
    assert DOMAIN.complete(own, given, deep).extra["window"] == [1, 2]
