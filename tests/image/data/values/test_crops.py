"""Crops: squares by draws, alike for what is given, from pictures that keep their own size."""

import time

import numpy as np
import pytest
import torch
from PIL import Image

from polygan import ConfigError, DataError
from polygan.data import build_store, split_store
from polygan.data.stream import Stream
from polygan_image.data.values import crops
from polygan_image.domain import ImageDomain, ImageSettings

DOMAIN = ImageDomain()
SIZES = ((20, 30), (16, 16), (40, 17), (25, 25))


def place(height, width):
    """A picture whose colours tell where a pixel lies: (y, x, 0)."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, np.zeros_like(y)], -1).astype(np.uint8)


def pictures(folder, sizes=SIZES):
    folder.mkdir(parents=True)
    for i, (height, width) in enumerate(sizes):
        Image.fromarray(place(height, width)).save(folder / f"{i}.png")
    return folder


def split_of(folder, name="train", **options):
    settings = ImageSettings(source=str(folder), held_out=0, cache=str(folder.parent / "cache"), **options)
    return split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0)[name]


def test_pictures_of_different_sizes_lie_in_the_store_at_their_own_size(tmp_path):
    split = split_of(pictures(tmp_path / "p"), crop=8)
    store = split.store
    assert (store.info["crop"], store.info["height"], store.info["width"]) == (8, 8, 8)
    assert store.fields["image"] == ("uint8", (None, 3))
    for row, size in enumerate(SIZES):
        assert tuple(store.item("size", row)) == size
        np.testing.assert_array_equal(crops.stored(store, "image", row).transpose(1, 2, 0), place(*size))


def test_the_draws_choose_the_square(tmp_path):
    split = split_of(pictures(tmp_path / "p"), crop=8)
    draws = np.array([[0, 0, 0.5, 0], [0.999, 0.999, 0.5, 0], [0.5, 0.25, 0.5, 0]])
    image = DOMAIN.collate(split, np.array([0, 0, 2]), draws)["image"]
    assert image.shape == (3, 3, 8, 8)
    corners = [(0, 0), (12, 22), (16, 2)]  # int(0.5 * 33), int(0.25 * 10)
    for picture, (y, x) in zip(image.numpy(), corners, strict=True):
        np.testing.assert_array_equal(picture, place(40, 40)[y : y + 8, x : x + 8].transpose(2, 0, 1))


def test_a_batch_is_a_pure_function_of_seed_and_number(tmp_path):
    folder = pictures(tmp_path / "p")
    one, other = (Stream(split_of(folder, crop=8, flip=True, scale=1.8), DOMAIN, 4, 7) for _ in range(2))
    later = other.batch(5)["image"]  # in another order
    assert torch.equal(one.batch(3)["image"], other.batch(3)["image"])
    assert torch.equal(one.batch(5)["image"], later)
    assert not torch.equal(one.batch(3)["image"], later)
    halves = [Stream(one.split, DOMAIN, 4, 7, rank, 2).batch(3)["image"] for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), one.batch(3)["image"])


def test_every_place_is_reached_and_half_are_mirrored(tmp_path):
    split = split_of(pictures(tmp_path / "p"), crop=14, flip=True)
    draws = np.random.default_rng(0).random((400, 4))
    image = DOMAIN.collate(split, np.ones(400, int), draws)["image"]  # 16 x 16: three places each way
    assert set(image[:, 0, 0, 0].tolist()) == {0, 1, 2}
    mirrored = image[:, 1, 0, 0] > image[:, 1, 0, -1]
    assert 160 < int(mirrored.sum()) < 240
    assert (draws[:, 3] < 0.5).tolist() == mirrored.tolist()
    assert not (split_of(tmp_path / "p", crop=14).store.info.get("flip"))


def test_larger_squares_are_shrunk(tmp_path):
    split = split_of(pictures(tmp_path / "p"), crop=8, scale=2.0)
    draws = np.array([[0, 0, 0.9999, 0], [0, 0, 0, 0]])
    large, small = DOMAIN.collate(split, np.array([1, 1]), draws)["image"].float()
    np.testing.assert_array_equal(small[0, :, 0], np.arange(8))
    np.testing.assert_allclose(large[0, 2:6, 0], 2 * np.arange(2, 6) + 0.5, atol=0.51)  # means of two rows, rounded
    thin = crops.drawn((40, 17), 8, 64.0, False, np.array([0.9, 0.9, 0.9, 0.9]))
    assert (thin.side, thin.left, thin.top) == (17, 0, 21)  # no wider than the picture


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_a_flat_picture_stays_flat_when_it_is_shrunk(dtype):
    values = np.full((2, 13, 13), 117, dtype)
    found = crops.shrunk(values, 5)
    assert (found.dtype, found.shape) == (dtype, (2, 5, 5))
    np.testing.assert_allclose(found, 117, rtol=1e-6 if dtype == "float32" else 0)


def test_label_maps_are_never_interpolated_and_invisible_pixels_lend_no_colour():
    ids = np.random.default_rng(0).choice([0, 7, 200], (1, 15, 15)).astype(np.uint8)
    assert set(crops.shrunk(ids, 4, labels=True).ravel().tolist()) <= {0, 7, 200}
    np.testing.assert_array_equal(crops.shrunk(ids, 5, labels=True), ids[:, 1::3, 1::3])
    picture = np.zeros((4, 8, 8), np.uint8)
    picture[:, :, :4] = np.array([200, 100, 50, 255])[:, None, None]  # the right half is transparent and black
    made = crops.shrunk(picture, 3, alpha=True)
    seen = made[3] > 0
    assert 0 < seen.sum() < 9
    assert np.abs(made[:3, seen].astype(int) - np.array([200, 100, 50])[:, None]).max() <= 2
    assert (made[:3, ~seen] == 0).all()


def test_pictures_of_one_size_are_cropped_when_they_are_used(tmp_path):
    folder = pictures(tmp_path / "p")
    whole, cropped = split_of(folder, resolution=16), split_of(folder, resolution=16, crop=8, flip=True)
    assert whole.store.path == cropped.store.path
    assert (cropped.store.info["height"], cropped.store.info["crop"]) == (8, 8)
    image = DOMAIN.collate(cropped, np.array([1]), np.array([[0.5, 0.999, 0, 0.7]]))["image"]
    assert torch.equal(image, whole.store.gather("image", np.array([1]))[:, :, 4:12, 8:])
    mirrored = split_of(folder, resolution=16, flip=True)
    both = DOMAIN.collate(mirrored, np.array([1, 1]), np.array([[0, 0, 0, 0.49], [0, 0, 0, 0.5]]))["image"]
    assert torch.equal(both[0].flip(2), both[1])
    assert torch.equal(both[1:], whole.store.gather("image", np.array([1])))


def test_real_pictures_are_centres(tmp_path):
    split = split_of(pictures(tmp_path / "p"), crop=8, scale=3.0, flip=True)
    real = DOMAIN.real(split, np.array([0, 2]))
    assert real.data.shape == (2, 3, 8, 8)
    expected = [place(20, 30)[6:14, 11:19], place(40, 17)[16:24, 4:12]]
    np.testing.assert_allclose(real.data.permute(0, 2, 3, 1), np.stack(expected) / 127.5 - 1, atol=1e-6)
    assert DOMAIN.real(split, np.array([], int)).data.shape == (0, 3, 8, 8)


def test_what_is_given_is_cropped_and_mirrored_as_its_picture(tmp_path):
    folder = pictures(tmp_path / "p/train/made")
    pictures(tmp_path / "p/train/given")
    palette = [value for i in range(256) for value in (i, 255 - i, i)]
    for i, (height, width) in enumerate(SIZES):
        ids = Image.fromarray(place(height, width)[..., 1] // 8)
        ids.putpalette(palette)
        ids.save(tmp_path / f"p/train/given/{i}.png")
    for kind in (True, False):
        split = split_of(
            tmp_path / "p/train", pairs="folders", given="given", given_labels=kind, crop=8, flip=True, scale=1.9
        )
        batch = DOMAIN.collate(split, np.arange(4), np.random.default_rng(1).random((4, 4)))
        column = batch["image"][:, 1].float()
        if kind:
            values = torch.tensor(split.store.info["given"]["values"])[batch["given"][:, 0].long()]
            assert (values - column / 8).abs().max() <= 1.26
            prepared = DOMAIN.prepare(batch, split.store.info)["given"]
            assert torch.equal(prepared.sum(1), torch.ones(4, 8, 8))
            given = DOMAIN.given(split, np.array([0]))
            assert given.data.shape == (1, 4, 8, 8)
        else:
            assert (batch["given"][:, 0].float() - (column // 8)).abs().max() <= 1.01
    assert folder.exists()


def test_a_picture_smaller_than_the_crop_is_left_out_or_enlarged(tmp_path):
    folder = pictures(tmp_path / "p", (*SIZES, *SIZES, (12, 40)))
    split = split_of(folder, crop=16, max_bad=0.5)
    assert len(split.store) == 8
    assert split.store.bad == [
        f"{folder}/8.png: 40x12 pixels are smaller than data.crop = 16; lower --data.crop, or set --data.smaller enlarge"
    ]
    facts = dict(DOMAIN.open(ImageSettings(source=str(folder), crop=16, flip=True, scale=2)).describe())
    assert facts["squares"] == (
        "16x16 from anywhere in a picture, cut from up to 2 times that side and shrunk, half of them mirrored; smaller than that: "
        "1 of 9, left out; --data.smaller enlarge enlarges them"
    )
    assert "made" not in facts
    enlarged = split_of(folder, crop=16, smaller="enlarge").store
    assert tuple(enlarged.item("size", 8)) == (16, 53)
    with pytest.raises(DataError, match=r"none of the 9 samples .* smaller than data.crop = 60"):
        split_of(folder, crop=60)


def test_crops_of_all_sizes_share_a_store_unless_a_picture_is_smaller(tmp_path):
    folder = pictures(tmp_path / "p")
    stores = [split_of(folder, crop=crop, max_bad=0.9).store.path for crop in (4, 16, 17, 20)]
    assert stores[0] == stores[1]
    assert len(set(stores)) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [({"crop": 32, "resolution": 16}, "larger than data.resolution"), ({"scale": 2.0}, "needs data.crop"),
     ({"crop": -1}, "data.crop"), ({"crop": 8, "scale": 0.5}, "data.scale"), ({"resolution": "64x16", "crop": 17}, "64x16")],
)  # fmt: skip
def test_crops_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        ImageSettings(**options)


def test_an_array_smaller_than_the_crop_is_refused_or_enlarged(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 6, 9), np.uint8))
    settings = ImageSettings(source=str(tmp_path / "a.npy"), crop=12)
    with pytest.raises(DataError, match=r"9x6 pixels are smaller than data\.crop = 12"):
        DOMAIN.open(settings)
    found = DOMAIN.open(ImageSettings(source=str(tmp_path / "a.npy"), crop=12, smaller="enlarge"))
    assert found.fields["image"].shape == (1, 12, 18)


def test_pairs_by_smaller_fit_the_crop(tmp_path):
    folder = pictures(tmp_path / "p")
    split = split_of(folder, crop=8, pairs="smaller", factor=4)
    batch = DOMAIN.prepare(DOMAIN.collate(split, np.arange(4), np.zeros((4, 4))), split.store.info)
    assert batch["given"].shape == (4, 3, 2, 2)
    with pytest.raises(ConfigError, match="multiples of 4, and the pictures are 10x10"):
        split_of(folder, crop=10, pairs="smaller", factor=4)


def test_a_crop_reads_its_own_rows_only(tmp_path):
    """A thousand crops of a large picture take far less time than a copy of the picture for each."""
    folder = tmp_path / "p"
    folder.mkdir()
    np.save(folder / "a.npy", np.zeros((2000, 3000, 3), np.uint8))
    split = split_of(folder, crop=96)
    rows, draws = np.zeros(200, int), np.random.default_rng(0).random((200, 4))
    start = time.perf_counter()
    DOMAIN.collate(split, rows, draws)
    assert time.perf_counter() - start < 1.0  # 18 MB each would take longer
