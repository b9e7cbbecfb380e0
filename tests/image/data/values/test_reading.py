"""Values from files: .npy in folders and archives, 16-bit and float files that Pillow opens, and what users hand in."""

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from polygan import ConfigError, DataError, Samples
from polygan_image.data.values import reading
from polygan_image.domain import ImageDomain, ImageSettings

DOMAIN = ImageDomain()


def source(path, **options):
    return DOMAIN.open(ImageSettings(source=str(path), **options))


def ramp(shape, dtype, low=0, high=1000):
    return np.linspace(low, high, int(np.prod(shape))).reshape(shape).astype(dtype)


@pytest.mark.parametrize(
    ("values", "kept", "channels"),
    [(ramp((6, 4), "uint16"), "uint16", 1), (ramp((6, 4, 1), "<i2", -500), "int16", 1), (ramp((6, 4, 5), ">f4", -1), "float32", 5),
     (ramp((6, 4, 2), "float64"), "float32", 2), (ramp((6, 4, 3), "uint8", 0, 255), "uint8", 3), (ramp((6, 4, 7), "uint8", 0, 255), "uint8", 7)],
)  # fmt: skip
def test_a_folder_of_arrays_holds_pictures_of_any_channels(tmp_path, values, kept, channels):
    folder = tmp_path / "p"
    folder.mkdir()
    np.save(folder / "a.npy", values)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(folder / "a.npy", "p/a.npy")
    for place in (folder, tmp_path / "p.zip"):
        found = source(place)
        image = found.decode(0)["image"]
        assert (found.info["channels"], found.info["height"], found.info["width"]) == (channels, 6, 4)
        assert (found.info.get("dtype", "uint8"), image.dtype.name) == (kept, kept)
        np.testing.assert_array_equal(image.transpose(1, 2, 0), values.reshape(6, 4, channels).astype(kept))
        assert dict(found.describe())["files"] == "1 .npy"
        assert not found.left_out


def test_arrays_beside_pictures_are_left_out(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 4)))
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    found = source(tmp_path)
    assert [found.name(i) for i in range(len(found))] == [f"{tmp_path}/a.png"]
    (line,) = found.left_out
    assert (line.count, line.what) == (1, ".npy file")
    assert "without other pictures" in line.why


@pytest.mark.parametrize(
    ("shape", "message"),
    [((3, 64, 64), "channels seem to come first.*numpy.moveaxis"), ((4,), r"\(H, W\) or \(H, W, C\) is read"),
     ((2, 3, 4, 5), "is an array of shape"), ((0, 4), "is an array of shape")],
)  # fmt: skip
def test_arrays_of_other_shapes_are_named(tmp_path, shape, message):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint16))
    with pytest.raises(DataError, match=rf"e\.g\. .*a\.npy: {message}|e\.g\. .*a\.npy: .*{message}"):
        source(tmp_path)


@pytest.mark.parametrize("dtype", ["int64", "complex64", "bool", "uint32", "object"])
def test_arrays_of_other_types_are_named(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.zeros((4, 4), dtype), allow_pickle=True)
    with pytest.raises(DataError, match=rf"a\.npy: holds values of type {dtype}; uint8, uint16.*convert it"):
        source(tmp_path)


def test_arrays_that_claim_too_much_are_not_read(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((40, 40), np.uint16))
    with pytest.raises(
        DataError, match=r"40x40 are more than data\.max_pixels = 1,000 pixels; type --data\.max_pixels 1600"
    ):
        source(tmp_path, max_pixels=1000)
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:-1])
    with pytest.raises(DataError, match="3,199 bytes where its header promises 3,200"):
        source(tmp_path)
    (tmp_path / "a.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match=r"is no \.npy file"):
        source(tmp_path)


def test_pictures_of_two_types_or_two_channel_counts_are_named(tmp_path):
    np.save(tmp_path / "a.npy", ramp((4, 4), "uint16"))
    np.save(tmp_path / "b.npy", ramp((4, 4), "float32"))
    with pytest.raises(DataError, match=r"different types of values .*a\.npy is uint16, .*b\.npy is float32.*one type"):
        source(tmp_path)
    np.save(tmp_path / "b.npy", ramp((4, 4, 2), "uint16"))
    with pytest.raises(DataError, match=r"different channels .*a\.npy has 1, .*b\.npy has 2"):
        source(tmp_path)
    np.save(tmp_path / "b.npy", ramp((4, 4), "uint16"))
    with pytest.raises(ConfigError, match=r"data\.channels = 3: the pictures have 1 channel of uint16 values"):
        source(tmp_path, channels=3)


def test_what_pillow_opens_keeps_its_depth(tmp_path):
    floats = ramp((5, 4), "float32", -2, 3)
    Image.fromarray(floats).save(tmp_path / "a.tif")
    found = source(tmp_path)
    assert (found.info["dtype"], found.info["window"]) == ("float32", [-2, 3])
    np.testing.assert_array_equal(found.decode(0)["image"][0], floats)
    wide = np.array([[-(2**23), 5], [2**24, 7]], np.int32)
    Image.fromarray(wide).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(source(tmp_path).decode(0)["image"][0], wide)
    Image.fromarray(wide * 3 + 1).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match="which float32 does not hold exactly"):
        source(tmp_path)
    signed = Image.fromarray(np.arange(-10, 10, dtype=np.int32).reshape(5, 4))
    signed.tag_v2 = {258: (16,), 339: (2,)}
    assert reading.depth(signed) == "int16"
    assert reading.as_type(np.asarray(signed), "int16").dtype == np.int16


def test_deep_values_are_resized_in_their_own_range(tmp_path):
    values = np.zeros((16, 24, 2), np.uint16)
    values[:, 12:] = 4000, 300
    np.save(tmp_path / "a.npy", values)
    image = source(tmp_path, resolution=8, window="0 4095").decode(0)["image"]
    assert (image.dtype, image.shape) == (np.uint16, (2, 8, 8))
    assert (image[0, :, 0].max(), image[0, :, -1].min(), image[1].max()) == (0, 4000, 300)
    padded = source(tmp_path, resolution=8, window="0 4095", fit="pad").decode(0)["image"]
    assert (padded[:, 0] == 0).all()
    with pytest.raises(DataError, match="too few for 32x32"):
        source(tmp_path, resolution=32, smaller="refuse", window="0 4095").decode(0)


INFO = {"channels": 1, "height": 6, "width": 4, "dtype": "uint16", "window": [0, 4095], "fit": "crop"}


def test_a_users_file_keeps_its_values(tmp_path):
    values = ramp((6, 4), "uint16", 0, 4095)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", values)
    np.save(tmp_path / "c.npy", values.astype(np.int16)[..., None])
    expected = torch.from_numpy(values.astype(np.float32)) / 2047.5 - 1
    for name in ("a.png", "b.npy", "c.npy"):
        (samples,) = DOMAIN.read(tmp_path / name, INFO)
        torch.testing.assert_close(samples.data[0, 0], expected)
        assert samples.extra == {"window": [0, 4095], "dtype": "uint16"}
    np.save(tmp_path / "large.npy", np.zeros((60, 80), np.uint16))
    assert next(DOMAIN.read(tmp_path / "large.npy", INFO)).data.shape == (1, 1, 6, 4)
    assert next(DOMAIN.read(tmp_path / "large.npy", INFO | {"keeps_size": True})).data.shape == (1, 1, 60, 80)


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda p: Image.new("L", (4, 6)).save(p / "a.png"), r"a\.png: has values of 8 bits, and the data has uint16"),
        (lambda p: Image.new("RGB", (4, 6)).save(p / "a.png"), r"a\.png: has values of 8 bits"),
        (lambda p: np.save(p / "a.npy", np.zeros((6, 4, 2), np.uint16)), r"a\.npy: has 2 channels, and the data has 1"),
        (lambda p: np.save(p / "a.npy", np.zeros((6, 4), np.float32)), r"a\.npy: has fractions as values"),
        (lambda p: np.save(p / "a.npy", np.full((6, 4), -1, np.int16)), r"a\.npy: has values from -1 to -1"),
        (lambda p: (p / "a.npy").write_bytes(b"x"), r"a\.npy: is no \.npy file"),
    ],
)
def test_a_users_file_of_other_values_is_named(tmp_path, save, message):
    save(tmp_path)
    (path,) = tmp_path.iterdir()
    with pytest.raises(DataError, match=message):
        list(DOMAIN.read(path, INFO))


def test_a_users_floats_with_nan_are_named(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0, np.nan]]))
    with pytest.raises(DataError, match=r"a\.npy: has NaN or infinite values at 1 of 2 places"):
        list(DOMAIN.read(tmp_path / "a.npy", INFO | {"dtype": "float32"}))


def test_arrays_of_python_callers_keep_their_values():
    values = ramp((2, 6, 4, 1), "uint16", 0, 4095)
    for value in (values, values[0], values[0, ..., 0], torch.from_numpy(values), list(values)):
        taken = DOMAIN.take(value, INFO)
        torch.testing.assert_close(
            taken.data[0, 0], torch.from_numpy(values[0, ..., 0].astype(np.float32)) / 2047.5 - 1
        )
    floats = torch.rand(2, 1, 9, 9) * 2 - 1
    assert torch.equal(DOMAIN.take(floats, INFO).data, floats)
    with pytest.raises(ConfigError, match=r"uint16 \(6, 4, 2\) is no picture of 1 channels"):
        DOMAIN.take(values[0].repeat(2, -1), INFO)
    with pytest.raises(ConfigError, match="has values of 8 bits"):
        DOMAIN.take(Image.new("L", (4, 6)), INFO)
    assert DOMAIN.take(Image.fromarray(values[0, ..., 0]), INFO).data.shape == (1, 1, 6, 4)
    five = INFO | {"channels": 5, "dtype": "uint8"}
    assert DOMAIN.take(torch.rand(1, 5, 3, 3), five).data.shape == (1, 5, 3, 3)
    with pytest.raises(ConfigError, match="3 channels, and the data has 5"):
        DOMAIN.take(torch.rand(1, 3, 3, 3), five)


def test_given_and_made_pictures_may_have_different_windows(tmp_path):
    for side, low in (("given", 0), ("made", -300)):
        folder = tmp_path / "p" / side
        folder.mkdir(parents=True)
        for i in range(3):
            Image.fromarray(ramp((8, 8), "float32", low, low + 50 * (i + 1))).save(folder / f"{i}.tif")
    found = source(tmp_path / "p", pairs="folders", given="given", given_window="0 100")
    assert (found.info["window"], found.info["given"]["window"]) == ([-300, -150], [0, 100])
    sample = found.decode(2)
    assert (sample["image"].dtype, sample["given"].dtype) == (np.float32, np.float32)
    batch = {name: torch.from_numpy(value.copy())[None] for name, value in sample.items()}
    made = DOMAIN.prepare(batch, found.info)
    assert (float(made["given"][0, 0, -1, -1]), float(made["image"][0, 0, -1, -1])) == (1, 1)
    torch.testing.assert_close(made["image"][0, 0, 0, 1], torch.tensor(-1 + 2 * (150 / 63) / 150))
    (samples,) = DOMAIN.read(tmp_path / "p/given/2.tif", found.info)
    assert torch.equal(samples.data, made["given"])
    assert samples.extra["window"] == [0, 100]
    completed = DOMAIN.complete(Samples(samples.data, DOMAIN), samples, found.info)
    assert completed.extra == {"window": [-300, -150], "dtype": "float32"}


def test_deep_colour_becomes_grey_like_the_pairs_of_the_data(tmp_path):
    facts = INFO | {"channels": 3, "pairs": "grey", "given": {"channels": 1}}
    values = ramp((6, 4, 3), "uint16", 0, 4095)
    np.save(tmp_path / "a.npy", values)
    Image.fromarray(values[..., 0]).save(tmp_path / "b.png")
    (colour,), (grey,) = (DOMAIN.read(tmp_path / name, facts) for name in ("a.npy", "b.png"))
    expected = torch.from_numpy(values @ np.array([0.299, 0.587, 0.114])).float() / 2047.5 - 1
    torch.testing.assert_close(colour.data[0, 0], expected, atol=1e-5, rtol=0)
    assert torch.equal(DOMAIN.take(values, facts).data, colour.data)
    assert torch.equal(DOMAIN.take(values[..., 0], facts).data, grey.data)
    torch.testing.assert_close(grey.data[0, 0], torch.from_numpy(values[..., 0].astype(np.float32)) / 2047.5 - 1)
