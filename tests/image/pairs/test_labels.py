"""Label maps: which files are label maps, their classes, one-hot tensors, files and arrays of users, and colours to show them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from made_pairs import DOMAIN, PALETTE, batch, facts, folders, ids, palette_map, photo, source, stored

from polygan import ConfigError, DataError, Samples
from polygan_image.data.pairs.labels import Classes, distinct, in_colours, index_of

COLOURS = np.array(PALETTE, np.uint8).reshape(-1, 3)


def grey_map(seed, **options):
    return Image.fromarray(ids(seed, **options))


def colour_map(seed, **options):
    return Image.fromarray(COLOURS[ids(seed, **options)])


def one_hot(values, known=(0, 1, 2)):
    return torch.from_numpy(np.stack([values == k for k in known])[None]).float()


def test_palettes_are_recognised_and_kept_as_ids(tmp_path):
    opened, splits = stored(folders(tmp_path, make=palette_map))
    given = opened.info["given"]
    assert (given["channels"], given["values"], given["names"]) == (3, [0, 1, 2], ["0", "1", "2"])
    assert given["colours"] == ["#000000", "#c80a0a", "#0ac80a"]
    train = splits["train"]
    expected = torch.cat([one_hot(ids(row + 100)) for row in train.rows[:3]])
    assert torch.equal(batch(train)["given"], expected)
    assert torch.equal(DOMAIN.given(train, train.rows[:3]).data, expected)
    assert re.fullmatch(r"3: \d \(\d+.\d%\), .*; the files share a palette, .*", facts(opened)["given classes"])
    assert "given channels" not in facts(opened)


def test_pictures_are_no_label_maps_unless_the_user_says_so(tmp_path):
    folders(tmp_path, make=grey_map)
    assert source(tmp_path).info["given"] == {"channels": 1}
    assert source(tmp_path, given_labels=True).info["given"]["values"] == [0, 1, 2]
    palette_map().save(tmp_path / "given/0.png")
    assert source(tmp_path).info["given"] == {"channels": 3}  # the first of several kinds decides nothing
    folders(tmp_path / "p", make=palette_map)
    assert source(tmp_path / "p", given_labels=False).info["given"] == {"channels": 3}


def test_palettes_that_differ_are_pictures(tmp_path):
    folders(tmp_path, make=palette_map)
    palette_map(3, [0, 0, 0, 9, 9, 9, 7, 7, 7]).save(tmp_path / "given/1.png")
    assert "values" not in source(tmp_path).info["given"]
    given = source(tmp_path, given_labels=True).info["given"]
    assert (given["values"], given["colours"]) == ([0, 1, 2], distinct(3))


def test_colours_are_classes(tmp_path):
    folders(tmp_path, make=colour_map)
    palette_map(101).save(tmp_path / "given/1.png")  # among colours a palette is its colours
    opened, splits = stored(tmp_path, given_labels=True)
    given = opened.info["given"]
    assert given["names"] == given["colours"] == ["#000000", "#0ac80a", "#c80a0a"]
    assert given["coded"] == "colours"
    expected = torch.cat([one_hot(ids(row + 100), (0, 2, 1)) for row in splits["train"].rows[:3]])
    assert torch.equal(batch(splits["train"])["given"], expected)


def test_ids_need_not_be_dense(tmp_path):
    def sparse(seed, **options):
        return Image.fromarray(np.array([7, 33, 255], np.uint8)[ids(seed, **options)])

    folders(tmp_path, make=sparse)
    Image.fromarray(np.array([7, 33, 999], np.uint16)[ids(5)]).save(tmp_path / "given/1.png")
    opened = source(tmp_path, given_labels=True)
    assert opened.info["given"]["values"] == [7, 33, 255, 999]
    assert (opened.decode(0)["given"][0] == ids(100)).all()
    assert (opened.decode(1)["given"][0] == np.array([0, 1, 3])[ids(5)]).all()


def test_label_maps_are_never_interpolated(tmp_path):
    folders(tmp_path, make=palette_map, height=16, width=24)
    for resolution, fit in ((5, "crop"), (5, "stretch"), (40, "crop")):
        found = source(tmp_path, resolution=resolution, fit=fit).decode(0)["given"]
        assert found.shape == (1, resolution, resolution)
        assert set(np.unique(found)) == {0, 1, 2}
    found = source(tmp_path, resolution=8, fit="stretch").decode(0)["given"][0]
    assert (found == np.asarray(palette_map(100, height=16, width=24).resize((8, 8), Image.Resampling.NEAREST))).all()


def test_halves_may_be_label_maps(tmp_path):
    for i in range(3):
        whole = np.concatenate([COLOURS[ids(i)], np.asarray(photo(i))], 1)
        Image.fromarray(whole).save(tmp_path / f"{i}.png")
    opened = source(tmp_path, "left", given_labels=True)
    assert opened.info["given"]["names"] == ["#000000", "#0ac80a", "#c80a0a"]
    assert (opened.decode(1)["given"][0] == np.array([0, 2, 1])[ids(1)]).all()
    assert (opened.decode(1)["image"] == np.asarray(photo(1)).transpose(2, 0, 1)).all()


def test_photographs_are_refused_as_label_maps(tmp_path):
    folders(tmp_path, height=20, width=20)
    with pytest.raises(
        DataError, match=r"given/0.png: with this file .* 257 different values, and at most 256 are classes"
    ):
        source(tmp_path, given_labels=True)


def test_one_class_is_refused(tmp_path):
    folders(tmp_path, make=lambda seed: Image.new("L", (8, 8), 4))
    with pytest.raises(DataError, match="hold only id 4, and a map needs two classes or more"):
        source(tmp_path, given_labels=True)


def test_transparent_pixels_have_no_class(tmp_path):
    folders(tmp_path, make=colour_map, count=5)
    clear = colour_map(0).convert("RGBA")
    clear.save(tmp_path / "given/1.png")  # opaque: read as colours
    clear.putalpha(9)
    clear.save(tmp_path / "given/0.png")
    opened = source(tmp_path, given_labels=True)
    assert len(opened.info["given"]["values"]) == 3
    with pytest.raises(DataError, match=r"its partner \S*given/0.png has transparent pixels"):
        opened.decode(0)
    assert (opened.decode(1)["given"][0] == np.array([0, 2, 1])[ids(0)]).all()


def test_the_classes_are_counted_once(tmp_path, monkeypatch):
    folders(tmp_path / "d", make=palette_map)
    first = source(tmp_path / "d", cache=str(tmp_path / "c")).info
    monkeypatch.setattr("polygan_image.data.pairs.counting._of", None)
    assert source(tmp_path / "d", cache=str(tmp_path / "c")).info == first


def facts_of(make, tmp_path, **options):
    return source(folders(tmp_path / "d", make=make), given_labels=True, **options).info


@pytest.mark.parametrize(
    "make", [grey_map, palette_map, colour_map, lambda seed, **o: colour_map(seed, **o).convert("RGBA")]
)
def test_a_users_label_map_is_one_hot(make, tmp_path):
    info = facts_of(palette_map, tmp_path)
    make(5, height=12, width=16).save(tmp_path / "mine.png")
    (own,) = DOMAIN.read(tmp_path / "mine.png", {**info, "keeps_size": True})
    assert torch.equal(own.data, one_hot(ids(5, height=12, width=16)))
    (fitted,) = DOMAIN.read(tmp_path / "mine.png", info)
    assert fitted.data.shape == (1, 3, 8, 8)
    assert torch.equal(fitted.data.sum(1), torch.ones(1, 8, 8))


def test_an_unknown_id_is_named_with_the_known_ids(tmp_path):
    info = facts_of(grey_map, tmp_path)
    Image.fromarray(ids(5) * 9).save(tmp_path / "mine.png")
    with pytest.raises(DataError, match=r"mine.png: has the id (9|18) at .* the known ids are 0, 1, 2"):
        list(DOMAIN.read(tmp_path / "mine.png", info))
    photo(1).save(tmp_path / "photo.png")
    with pytest.raises(DataError, match=r"photo.png: is in colour, and the label maps of this data have ids"):
        list(DOMAIN.read(tmp_path / "photo.png", info))
    info = facts_of(colour_map, tmp_path / "colours")
    with pytest.raises(DataError, match=r"the colour #\w{6} .* the known colours are #000000, #0ac80a"):
        list(DOMAIN.read(tmp_path / "photo.png", info))


def test_arrays_of_a_caller_are_one_hot(tmp_path):
    info = facts_of(palette_map, tmp_path)
    values, expected = ids(5), one_hot(ids(5))
    for given in (
        values, torch.from_numpy(values.astype(np.int64)), values[None], COLOURS[values][None], Image.fromarray(values),
        [palette_map(5)], expected, expected[0].numpy(),
    ):  # fmt: skip
        assert torch.equal(DOMAIN.take(given, info).data, expected)
    assert torch.equal(DOMAIN.take([values, values], info).data, expected.repeat(2, 1, 1, 1))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.full((8, 8), 3, np.uint8), r"the given label map has the id 3 at 64 of 64 pixels"),
        (torch.zeros(1, 3, 8, 8), "not 1 for one class"),
        (torch.zeros(1, 4, 8, 8), "no label maps of 3 classes"),
        (np.zeros((1, 1, 8, 8), np.uint8), "is no label map; hand over ids"),
        ("name", "given = str is no label map"),
    ],
)
def test_what_is_no_label_map_is_refused(given, words, tmp_path):
    info = facts_of(palette_map, tmp_path)
    with pytest.raises(ConfigError, match=words):
        DOMAIN.take(given, info)


def test_label_maps_are_shown_in_their_colours(tmp_path):
    opened, splits = stored(folders(tmp_path / "d", make=palette_map))
    given = DOMAIN.given(splits["train"], splits["train"].rows[:3])
    for one in (given, given[[2, 0, 1]], DOMAIN.take(palette_map(5), opened.info)):  # three classes and three samples
        files = one.save(tmp_path / f"out{len(one)}")
        shown = np.asarray(Image.open(files[0]))
        assert (shown == COLOURS[one.data[0].argmax(0).numpy()]).all()
        assert DOMAIN.render(one)
    assert DOMAIN.render(given)[0].caption == "3 pictures of 8x8"


def test_distinct_colours_are_distinct():
    assert len(set(distinct(256))) == 256
    assert in_colours(one_hot(ids()), distinct(3)).shape == (1, 3, 8, 8)


def test_negative_and_huge_ids_are_no_classes():
    classes = Classes((0, 2), ("a", "b"), ("#000000", "#ffffff"), "ids")
    assert np.asarray(index_of(np.array([[0, 2]]), classes)).tolist() == [[0, 1]]
    for value in (-1, 1, 3, 2**40):
        with pytest.raises(DataError, match=f"id {value} at 1 of 1 pixels.*known ids are 0, 2"):
            index_of(np.array([[value]]), classes)


def test_samples_of_other_data_stay_as_they_are():
    samples = Samples(torch.zeros(1, 3, 4, 4), DOMAIN)
    assert DOMAIN.render(samples)[0].caption == "1 picture of 4x4"
