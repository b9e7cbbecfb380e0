"""Stored pairs: two sides in step, halves of one picture, shapes that differ, and pairs that are derived."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from made_pairs import DOMAIN, batch, facts, folders, photo, save, source, stored

from polygan import ConfigError, DataError
from polygan.data import build_store
from polygan_image.data.values.shrinking import shrink
from polygan_image.domain import ImageSettings


def values(picture):
    array = np.asarray(picture)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def floats(picture):
    return torch.from_numpy(values(picture).copy())[None].float() / 127.5 - 1


def test_a_batch_has_both_sides_of_the_same_pairs(tmp_path):
    _, splits = stored(folders(tmp_path))
    train = splits["train"]
    both = batch(train)
    for i, row in enumerate(train.rows[:3]):
        assert torch.equal(both["image"][i : i + 1], floats(photo(row)))
        assert torch.equal(both["given"][i : i + 1], floats(photo(row + 100)))
    assert torch.equal(DOMAIN.given(train, train.rows[:3]).data, both["given"])
    assert torch.equal(DOMAIN.real(train, train.rows[:3]).data, both["image"])


def test_sides_have_channels_of_their_own(tmp_path):
    def grey(seed, **options):
        return photo(seed, channels=1)

    opened, splits = stored(folders(tmp_path, make=grey))
    assert (opened.info["channels"], opened.info["pairs"], opened.info["given"]) == (3, "folders", {"channels": 1})
    assert batch(splits["train"])["given"].shape == (3, 1, 8, 8)
    assert facts(opened)["given channels"].startswith("1 (grey)")
    assert source(tmp_path, channels=1).info["given"] == {"channels": 1}


def test_transparency_of_a_few_given_pictures_is_laid_on_the_background(tmp_path):
    folders(tmp_path)
    clear = photo(9, channels=4)
    clear.putalpha(0)
    clear.save(tmp_path / "given/2.png")
    white, red = source(tmp_path), source(tmp_path, background="red")
    assert white.info["given"] == {"channels": 3}
    assert (white.decode(2)["given"] == 255).all()
    assert (red.decode(2)["given"] == np.array([255, 0, 0])[:, None, None]).all()
    assert facts(white)["given alpha"].startswith("16.7% of the pictures, laid on white")


def test_both_sides_are_brought_to_one_size(tmp_path):
    folders(tmp_path, height=16, width=24)
    for i in range(6):
        photo(i, 8, 12).save(tmp_path / f"given/{i}.png")  # the same shape, half the size
    with pytest.raises(
        DataError, match=r"pictures to make are 24x16 and the given pictures 12x8.*--data.resolution 64"
    ):
        source(tmp_path)
    made = source(tmp_path, resolution=8).decode(0)
    assert made["image"].shape == made["given"].shape == (3, 8, 8)
    assert (made["given"] == values(photo(0, 8, 12))[:, :, 2:10]).all()  # the centre of both


def test_partners_of_another_shape_are_named(tmp_path):
    folders(tmp_path, count=5, height=16, width=16)
    photo(0, 8, 16).save(tmp_path / "given/0.png")
    opened = source(tmp_path, resolution=8)
    with pytest.raises(DataError, match=r"16x16 pixels, and its partner \S*given/0.png has 16x8; .*data.fit = stretch"):
        opened.decode(0)
    settings = ImageSettings(source=str(tmp_path), pairs="folders", resolution=8, max_bad=0.3)
    assert build_store(DOMAIN.open(settings), settings, progress=False).info["count"] == 4
    assert source(tmp_path, resolution=8, fit="stretch").decode(0)["given"].shape == (3, 8, 8)


def test_a_partner_that_cannot_be_read_is_named(tmp_path):
    folders(tmp_path)
    (tmp_path / "given/1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"its partner \S*given/1.png cannot be used: not a picture"):
        source(tmp_path).decode(1)


def test_one_pair_is_too_little_to_hold_any_out(tmp_path):
    opened, splits = stored(folders(tmp_path, count=1))
    assert (len(opened), len(splits["train"]), len(splits["held_out"])) == (1, 1, 0)


def test_a_changed_partner_changes_the_store(tmp_path):
    folders(tmp_path)
    before = source(tmp_path).fingerprint()
    assert source(tmp_path).fingerprint() == before
    photo(50, 8, 8).resize((8, 8)).save(tmp_path / "given/1.png", compress_level=0)
    assert source(tmp_path).fingerprint() != before


@pytest.mark.parametrize("half", ["left", "right"])
def test_halves_of_a_picture_are_a_pair(half, tmp_path):
    for i in range(4):
        save(tmp_path, **{f"{i}__png": photo(i, 8, 16)})
    opened, splits = stored(tmp_path, half)
    sample, whole = opened.decode(2), values(photo(2, 8, 16))
    left, right = whole[:, :, :8], whole[:, :, 8:]
    assert (sample["given"] == (left if half == "left" else right)).all()
    assert (sample["image"] == (right if half == "left" else left)).all()
    assert (opened.info["width"], opened.info["height"]) == (8, 8)
    assert facts(opened)["pairs"].startswith(f"4 pictures in halves: the {half} half is given")
    assert batch(splits["train"], 2)["given"].shape == (2, 3, 8, 8)


def test_a_half_is_cut_after_a_photograph_is_turned(tmp_path):
    upright = photo(0, 8, 16)
    exif = Image.Exif()
    exif[0x0112] = 6  # the picture is to be turned by a quarter clockwise
    for i in range(2):
        upright.rotate(90, expand=True).save(tmp_path / f"{i}.png", exif=exif)
    assert (source(tmp_path, "left").decode(0)["given"] == values(upright)[:, :, :8]).all()


def test_an_odd_width_has_no_halves(tmp_path):
    for i in range(3):
        save(tmp_path, **{f"{i}__png": photo(i, 8, 16)})
    save(tmp_path, x__png=photo(0, 8, 17))
    opened = source(tmp_path, "left", resolution=8)
    with pytest.raises(DataError, match="a width of 17 pixels has no two halves; cut the picture"):
        opened.decode(3)
    assert facts(opened)["unreadable"].startswith("1 ")
    lonely = save(tmp_path / "odd", x__png=photo(0, 8, 17))
    with pytest.raises(DataError, match=r"none of 1 pictures can be read.*a width of 17 pixels"):
        source(lonely, "right")


def test_folders_for_tests_are_held_out_of_halves(tmp_path):
    for name in ("train__0", "train__1", "test__0"):
        save(tmp_path, **{f"{name}__png": photo(0, 8, 16)})
    assert {k: len(v) for k, v in stored(tmp_path, "left")[1].items()} == {"train": 2, "held_out": 1}


def test_smaller_pictures_are_pillows_bicubic():
    picture = photo(0, 16, 24)
    for factor in (2, 4):
        expected = floats(picture.resize((24 // factor, 16 // factor), Image.Resampling.BICUBIC))
        found = shrink(floats(picture), factor)
        assert (found - expected).abs().max() <= 2.01 / 127.5  # Pillow rounds to bytes twice


def test_pairs_by_smaller_are_derived(tmp_path):
    for i in range(4):
        save(tmp_path, **{f"{i}__png": photo(i, 8, 12)})
    opened, splits = stored(tmp_path, "smaller", factor=4)
    assert (opened.info["pairs"], opened.info["given"]) == ("smaller", {"channels": 3, "factor": 4})
    both = batch(splits["train"], 2)
    assert torch.equal(both["given"], shrink(both["image"], 4))
    assert DOMAIN.given(splits["train"], splits["train"].rows[:2]).data.shape == (2, 3, 2, 3)
    assert opened.fingerprint() == source(tmp_path, "").fingerprint()  # one store for all derived pairs
    with pytest.raises(ConfigError, match=r"multiples of 4, and the pictures are 10x8; .*--data.resolution 8x8"):
        source(tmp_path, "smaller", factor=4, resolution="10x8")


def test_a_users_picture_has_the_form_of_what_was_given(tmp_path):
    def grey(seed, **options):
        return photo(seed, channels=1)

    folders(tmp_path / "d", make=grey)
    photo(5, 20, 24).save(tmp_path / "mine.png")
    info = {**source(tmp_path / "d").info}
    (read,) = DOMAIN.read(tmp_path / "mine.png", info)
    assert read.data.shape == (1, 1, 8, 8)
    (own,) = DOMAIN.read(tmp_path / "mine.png", {**info, "keeps_size": True})
    assert own.data.shape == (1, 1, 20, 24)
    assert DOMAIN.take(np.asarray(photo(5, 20, 24)), {**info, "keeps_size": True}).data.equal(own.data)
    assert own.names == ("mine",)


def test_a_users_picture_is_the_small_picture_or_the_whole_given_half(tmp_path):
    for i in range(4):
        save(tmp_path / "d", **{f"{i}__png": photo(i, 8, 16)})
    photo(5, 4, 8).save(tmp_path / "mine.png")
    for pairs, size in (("smaller", (4, 8)), ("left", (8, 8))):
        info = source(tmp_path / "d", pairs).info
        (read,) = DOMAIN.read(tmp_path / "mine.png", info)
        assert read.data.shape[2:] == size
        (own,) = DOMAIN.read(tmp_path / "mine.png", {**info, "keeps_size": True})
        assert torch.equal(own.data, floats(photo(5, 4, 8)))
