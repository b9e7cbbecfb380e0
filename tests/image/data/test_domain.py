"""The image domain: bytes to [-1, 1] and back, grids, files, captions, cheap features."""

import csv
import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from polygan import ConfigError, Samples
from polygan_image.data import pictures
from polygan_image.domain import ImageDomain

DOMAIN = ImageDomain()


def samples(n=6, channels=1, size=8, **options):
    """Picture i is all of the byte 10 i."""
    data = (torch.arange(n) * 10 / 127.5 - 1).view(n, 1, 1, 1).expand(n, channels, size, size).clone()
    return Samples(data, DOMAIN, **options)


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def split(images, labels=None, classes=()):
    fields = {"image": images} if labels is None else {"image": images, "label": labels}
    store = SimpleNamespace(
        fields=fields,
        info={"classes": list(classes)},
        gather=lambda name, rows: torch.from_numpy(fields[name][rows]),
    )
    return SimpleNamespace(store=store, rows=np.arange(len(images)), name="train")


def test_prepare_covers_the_range_and_keeps_labels():
    batch = {"image": torch.tensor([0, 255, 51], dtype=torch.uint8), "label": torch.tensor([1])}
    out = DOMAIN.prepare(batch, {})
    assert out["image"].dtype == torch.float32
    torch.testing.assert_close(out["image"], torch.tensor([-1.0, 1.0, -0.6]))
    assert out["label"] is batch["label"]
    assert batch["image"].dtype == torch.uint8


def test_prepare_runs_where_the_batch_is():
    out = DOMAIN.prepare({"image": torch.empty(2, 3, 4, 4, dtype=torch.uint8, device="meta")}, {})
    assert out["image"].device.type == "meta"


def test_every_byte_survives_a_round_trip():
    values = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    back = pictures.to_bytes(DOMAIN.prepare({"image": values}, {})["image"])
    np.testing.assert_array_equal(back[0, :, :, 0], values[0, 0].numpy())


def test_real_gives_the_rows_asked_for():
    images = np.arange(3, dtype=np.uint8).repeat(16).reshape(3, 1, 4, 4)
    got = DOMAIN.real(split(images, np.array([5, 6, 7]), "abc"), np.array([2, 0]))
    torch.testing.assert_close(got.data[:, 0, 0, 0], torch.tensor([2 / 127.5 - 1, -1.0]))
    assert got.labels is not None
    assert got.labels.tolist() == [7, 5]
    assert list(got.classes) == ["a", "b", "c"]
    assert DOMAIN.real(split(images), np.array([1])).labels is None


def test_batch_of_samples():
    batch = DOMAIN.batch_of(samples(labels=torch.arange(6)))
    assert batch is not None
    assert set(batch) == {"image", "label"}
    assert set(DOMAIN.batch_of(samples()) or ()) == {"image"}


@pytest.mark.parametrize(("kind", "columns", "across"), [("set", 0, 3), ("set", 6, 3), ("grid", 2, 2), ("walk", 6, 6)])
def test_grid_layout(tmp_path, kind, columns, across):
    path = tmp_path / "new" / "grid.png"
    assert samples(kind=kind, columns=columns).save(path) == [path]
    sheet, down = read(path), -(-6 // across)
    assert sheet.shape == (down * 10 - 2, across * 10 - 2)  # cells of 8 with gaps of 2
    for i in range(6):
        y, x = i // across * 10, i % across * 10
        assert (sheet[y : y + 8, x : x + 8] == 10 * i).all()
    assert (sheet[:, 8:10] == 255).all()


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_folder_of_pictures(tmp_path, channels, mode):
    files = samples(3, channels).save(tmp_path / "out")
    assert [f.name for f in files] == ["00000.png", "00001.png", "00002.png", "grid.png"]
    with Image.open(files[2]) as picture:
        assert (picture.mode, picture.size) == (mode, (8, 8))
        assert (np.asarray(picture) == 20).all()


def test_a_folder_with_classes_says_the_class_of_each_picture(tmp_path):
    made = samples(3, labels=torch.tensor([1, 0, 1]), classes=("a", 'b, "c"'))
    assert [f.name for f in made.save(tmp_path / "out")][-1] == "labels.csv"
    with (tmp_path / "out/labels.csv").open(newline="") as table:
        rows = list(csv.reader(table))
    assert rows == [["file", "class"], ["00000.png", 'b, "c"'], ["00001.png", "a"], ["00002.png", 'b, "c"']]


def test_new_pictures_replace_all_earlier_ones_and_their_animation(tmp_path):
    samples(6, kind="frames").save(tmp_path)
    assert (tmp_path / "animation.webp").exists()
    samples(2).save(tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.*") if p.name[0] != ".") == ["00000.png", "00001.png", "grid.png"]
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"holds a file that polygan did not write there \(e.g. holiday.jpg\)"):
        samples(3).save(tmp_path)
    assert len(list(tmp_path.glob("0*.png"))) == 2


@pytest.mark.parametrize(("kind", "name"), [("frames", "walk.avi"), ("set", "walk.avi"), ("set", "walk.gif")])
def test_what_cannot_hold_these_pictures_is_refused_with_what_can(tmp_path, kind, name):
    for act in (samples(kind=kind).save, lambda path: DOMAIN.write(samples(kind=kind), path)):
        with pytest.raises(ConfigError, match=rf"{name}: .* writes \.png, .*, and for an animation \.webp, \.gif"):
            act(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_single_pictures_and_parts():
    made = samples(4, 3, 8, labels=torch.tensor([0, 1, 0, 1]), classes=("a", "b"))
    assert [tuple(picture.shape) for picture in made] == [(3, 8, 8)] * 4
    assert repr(made) == "Samples(4 x image, 3x8x8, classes: a, b)"
    assert made[1:3].class_names() == ["b", "a"]
    assert "data:image/png;base64," in made._repr_html_()


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".PNG"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_other_formats(tmp_path, suffix, channels):
    path = tmp_path / f"grid{suffix}"
    samples(4, channels, 16).save(path)
    assert read(path).shape[:2] == (34, 34)


def test_names_that_are_not_written(tmp_path):
    with pytest.raises(ConfigError, match=r"grid\.pgn.*\.png, .*folder"):
        samples().save(tmp_path / "grid.pgn")
    with pytest.raises(ConfigError, match="no samples"):
        samples(0).save(tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
    assert len(samples(2).save(tmp_path / "step-1.0")) == 3  # a folder's name may have a dot


def test_a_grid_too_large_is_refused_but_a_folder_shows_what_fits(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_MAX_SIDE", 30)
    with pytest.raises(ConfigError, match=r"16 pictures of 8x8 do not fit.*folder"):
        samples(16).save(tmp_path / "grid.png")
    files = samples(16).save(tmp_path / "out")
    assert len(files) == 17
    assert read(files[-1]).shape == (28, 28)


def test_rows_that_are_too_wide_are_shown_as_a_square(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_MAX_SIDE", 30)
    files = samples(16, kind="walk", columns=16).save(tmp_path / "out")
    assert len(files) == 17
    assert read(files[-1]).shape == (28, 28)


def test_render_enlarges_small_pictures_by_repeating_pixels():
    (piece,) = DOMAIN.render(samples(4, size=28))
    sheet = np.asarray(Image.open(io.BytesIO(piece.png)))
    assert sheet.shape == (2 * 56 + 2, 2 * 56 + 2)
    assert (sheet[:56, 58:] == 10).all()
    assert piece.caption == "4 pictures of 28x28"
    (large,) = DOMAIN.render(samples(1, 3, 64))
    assert Image.open(io.BytesIO(large.png)).size == (64, 64)
    assert DOMAIN.render(samples(0)) == []


def test_caption_names_the_rows_of_a_class_grid():
    grid = samples(4, labels=torch.tensor([0, 0, 1, 1]), classes=["cat", "dog"], kind="grid", columns=2)
    assert DOMAIN.render(grid)[0].caption == "4 pictures of 8x8, from the top a row for each of cat, dog"
    grid.labels = torch.tensor([0, 1, 1, 1])
    assert DOMAIN.render(grid)[0].caption == "4 pictures of 8x8"


@pytest.mark.parametrize("size", [7, 16, 64])
def test_feature_distance_is_the_rms_of_pixels(size):
    data = torch.stack([torch.full((3, size, size), v) for v in (-1.0, 1.0, 0.5)])
    features = DOMAIN.features(Samples(data, DOMAIN))
    assert features.shape == (3, 3 * min(size, 16) ** 2)
    torch.testing.assert_close(torch.cdist(features, features)[0], torch.tensor([0.0, 2.0, 1.5]), atol=1e-3, rtol=0)


def test_features_of_small_pictures_lose_nothing():
    data = torch.rand(2, 1, 12, 16) * 2 - 1
    features = DOMAIN.features(Samples(data, DOMAIN))
    rms = (data[0] - data[1]).square().mean().sqrt()
    torch.testing.assert_close((features[0] - features[1]).norm(), rms)
