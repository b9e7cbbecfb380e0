"""Pairs by grey, and the pictures that a user hands in: files, arrays, PIL pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from polygan import ConfigError, DataError, Samples
from polygan.data import build_store, split_store
from polygan_image.data import given
from polygan_image.data.volumes import opening
from polygan_image.domain import ImageDomain, ImageSettings

DOMAIN = ImageDomain()
GREY = {"channels": 3, "height": 8, "width": 6, "fit": "crop", "pairs": "grey", "given": {"channels": 1}}
COLOUR = {"channels": 3, "height": 8, "width": 6, "fit": "crop"}


def noise(height=8, width=6, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def folder_of(path, *, channels=3, count=10):
    path.mkdir()
    for i in range(count):
        Image.fromarray(noise(channels=channels, seed=i)).save(path / f"{i}.png")
    return path


def splits(path, **options):
    settings = ImageSettings(source=str(path), **options)
    return split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0.3)


def test_grey_is_the_luma_that_pillow_and_jpeg_have():
    picture = noise()
    expected = np.asarray(Image.fromarray(picture).convert("L")).astype(np.float32) / 127.5 - 1
    data = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    assert np.abs(given.grey(data)[0, 0].numpy() - expected).max() <= 1.01 / 127.5  # Pillow rounds down
    assert given.grey(torch.ones(1, 3, 2, 2)).sub(1).abs().max() < 1e-6
    clear = torch.cat([-torch.ones(1, 3, 2, 2), -torch.ones(1, 1, 2, 2)], 1)
    assert given.grey(clear).sub(1).abs().max() < 1e-6  # transparent black is white paper
    grey = torch.rand(2, 1, 4, 4)
    assert given.grey(grey) is grey


def test_a_batch_has_what_each_picture_is_made_from(tmp_path):
    train = splits(folder_of(tmp_path / "p"), pairs="grey")["train"]
    info = train.store.info
    assert (info["pairs"], info["given"]) == ("grey", {"channels": 1})
    batch = DOMAIN.prepare(DOMAIN.collate(train, train.rows[:4], np.zeros((4, 4))), info)
    assert batch["given"].shape == (4, 1, 8, 6)
    assert torch.equal(batch["given"], given.grey(batch["image"]))
    assert "given" not in DOMAIN.prepare({"image": torch.zeros(1, 3, 2, 2, dtype=torch.uint8)}, COLOUR)


def test_one_store_serves_runs_with_and_without_pairs(tmp_path):
    """A pair is derived: asking for it decodes nothing again, and another run's choice does not stick to the store."""
    folder = folder_of(tmp_path / "p")
    for where, order in (("one", ("", "grey", "")), ("two", ("grey", "", "grey"))):
        stores = [splits(folder, pairs=p, cache=str(tmp_path / where))["train"].store for p in order]
        assert len({store.path for store in stores}) == 1
        assert tuple(store.info.get("pairs", "") for store in stores) == order
        assert all(store.info["count"] == 10 for store in stores)


def test_what_is_read_is_what_training_was_given(tmp_path):
    """The file of a held-out picture is read as the pair that the run derived for it, to the bit."""
    folder = folder_of(tmp_path / "p")
    for name in ("", "grey"):
        held = splits(folder, pairs=name)["held_out"]
        shown = DOMAIN.given(held, held.rows)
        assert shown.data.shape[1] == (1 if name else 3)
        for row, data in zip(held.rows, shown.data, strict=True):
            (samples,) = DOMAIN.read(folder / f"{row}.png", held.store.info)
            assert torch.equal(samples.data[0], data)
            assert samples.names == (str(row),)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA", "I;16"])
def test_a_users_picture_of_any_kind_is_brought_to_the_runs_form(mode, tmp_path):
    if mode == "I;16":
        Image.fromarray(noise(20, 30, 1).astype(np.uint16) * 257).save(tmp_path / "a.png")
    else:
        Image.fromarray(noise(20, 30)).convert(mode).save(tmp_path / "a.png")
    for info, channels in ((GREY, 1), (COLOUR, 3), ({**COLOUR, "channels": 4}, 4), ({**COLOUR, "channels": 1}, 1)):
        (samples,) = DOMAIN.read(tmp_path / "a.png", info)
        assert samples.data.shape == (1, channels, 8, 6)
        assert samples.data.abs().max() <= 1


def test_a_grey_file_keeps_its_greys(tmp_path):
    picture = noise(channels=1)
    Image.fromarray(picture).save(tmp_path / "a.png")
    (samples,) = DOMAIN.read(tmp_path / "a.png", GREY)
    assert torch.equal(samples.data[0, 0], torch.from_numpy(picture).float().div(127.5).sub(1))


def test_padded_data_pads_what_a_user_hands_in(tmp_path):
    Image.new("RGB", (12, 8), "white").save(tmp_path / "wide.png")
    (cropped,) = DOMAIN.read(tmp_path / "wide.png", COLOUR)
    (padded,) = DOMAIN.read(tmp_path / "wide.png", {**COLOUR, "fit": "pad"})
    assert cropped.data.min() == 1
    assert padded.data[0, :, 0].max() == -1  # black above
    assert splits(folder_of(tmp_path / "p"), fit="pad")["train"].store.info["fit"] == "pad"


@pytest.mark.parametrize("name", ["text.png", "gone.png"])
def test_what_cannot_be_read_is_named(name, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=name) as error:
        list(DOMAIN.read(tmp_path / name, GREY))
    assert "\n" not in str(error.value)


def test_arrays_tensors_and_pictures_are_taken():
    one = noise()
    expected = given.take(Image.fromarray(one), GREY)
    assert expected.shape == (1, 1, 8, 6)
    for same in (one, one[None], torch.from_numpy(one), [Image.fromarray(one)], [one]):
        assert torch.equal(given.take(same, GREY), expected)
    two = given.take([one, Image.fromarray(noise(30, 20))], GREY)
    assert two.shape == (2, 1, 8, 6)
    assert torch.equal(two[:1], expected)
    assert given.take(noise(channels=1), GREY).shape == (1, 1, 8, 6)
    samples = DOMAIN.take(one, COLOUR)
    assert isinstance(samples, Samples)
    assert torch.equal(samples.data[0].permute(1, 2, 0), torch.from_numpy(one).float().div(127.5).sub(1))


def test_floats_keep_their_own_size():
    data = torch.rand(2, 3, 20, 24) * 2 - 1
    assert torch.equal(given.take(data, COLOUR), data)
    assert torch.equal(given.take(data, GREY), given.grey(data))
    assert torch.equal(given.take(data[:, :1].numpy(), GREY), data[:, :1])
    assert given.take(data[:, :1], COLOUR).shape == data.shape
    assert given.take(data, {**COLOUR, "channels": 4})[:, 3].min() == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.full((1, 3, 4, 4), 9.0), r"outside \[-1, 1\]"),
        (torch.full((1, 3, 4, 4), float("nan")), r"outside \[-1, 1\]"),
        (torch.zeros(1, 5, 4, 4), "are no pictures"),
        (np.zeros((4, 4, 2), np.uint8), "is no picture"),
        (np.zeros((4, 4), np.int64), "is no picture"),
        (7, "int is no picture"),
        ([], "list is no picture"),
    ],
)
def test_what_is_no_picture_is_refused(value, words):
    with pytest.raises(ConfigError, match=words):
        given.take(value, GREY)


def test_grey_pictures_have_no_pairs_by_grey(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.pairs = grey needs pictures in colour"):
        DOMAIN.open(ImageSettings(source=str(folder_of(tmp_path / "g", channels=1)), pairs="grey"))
    with pytest.raises(ConfigError, match=r"data\.pairs"):
        ImageSettings(pairs="gray")


def test_samples_are_written_under_their_names(tmp_path):
    data = torch.zeros(2, 3, 8, 6)
    files = Samples(data, DOMAIN, names=("cat", "dog")).save(tmp_path / "out")
    assert [f.name for f in files] == ["cat.png", "dog.png", "grid.png"]
    for names in (("cat", "cat"), ("grid", "dog"), ("../cat", "dog"), ("cat",)):
        files = Samples(data, DOMAIN, names=names).save(tmp_path / "numbered")
        assert [f.name for f in files] == ["00000.png", "00001.png", "grid.png"]
    assert set(DOMAIN.writes) >= {".png", ".jpg", ".webp"}
    for suffix in set(DOMAIN.writes) - set(opening.WRITES):
        DOMAIN.write_file(iter([Samples(data[:1], DOMAIN)]), tmp_path / f"one{suffix}")
        if suffix == ".npy":
            assert np.load(tmp_path / "one.npy").shape == (8, 6, 3)
            continue
        with Image.open(Path(tmp_path / f"one{suffix}")) as picture:
            assert picture.size == (6, 8)


def test_a_given_picture_lies_on_the_background_of_the_data(tmp_path):
    Image.new("RGBA", (8, 4), (0, 0, 0, 0)).save(tmp_path / "a.png")
    facts = {"channels": 3, "height": 8, "width": 8, "fit": "pad"}
    (older,), (red,) = (given.read(tmp_path / "a.png", f) for f in (facts, facts | {"background": "red"}))
    assert older.min() == 1
    assert red[:, 0, 0].tolist() == red[:, 4, 4].tolist() == [1, -1, -1]
