"""Which files of two folders are partners, which folder is given, and what is said of the others."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from made_pairs import facts, folders, photo, save, source, stored

from polygan import ConfigError, DataError


@pytest.mark.parametrize(
    ("one", "two", "given"),
    [
        ("given", "image", "given"),
        ("A", "B", "A"),
        ("input", "target", "input"),
        ("photos", "labels", "labels"),
        ("images", "depth", "depth"),  # a known folder to make: the other is given
        ("Image", "MASKS", "MASKS"),
    ],
)
def test_usual_names_tell_which_folder_is_given(one, two, given, tmp_path):
    opened = source(folders(tmp_path, one, two))
    made = {one: two, two: one}[given]
    assert opened.name(0) == str(tmp_path / made / "0.png")
    assert facts(opened)["pairs"].startswith(f"6: pictures in {given} are given, pictures in {made} are made")


def test_the_user_turns_pairs_round(tmp_path):
    folders(tmp_path, "A", "B")
    there, back = source(tmp_path).decode(0), source(tmp_path, given="b").decode(0)
    assert (there["image"] == back["given"]).all()
    assert (there["given"] == back["image"]).all()
    assert (there["image"] == np.asarray(Image.open(tmp_path / "B/0.png")).transpose(2, 0, 1)).all()


def test_unknown_names_need_an_answer(tmp_path):
    folders(tmp_path, "day", "night")
    with pytest.raises(DataError, match=r"day, night, and no name tells .* --data.given day"):
        source(tmp_path)
    assert facts(source(tmp_path, given="night"))["pairs"].startswith("6: pictures in night are given")
    with pytest.raises(DataError, match=r"data.given = 'nigth' is no folder .* night"):
        source(tmp_path, given="nigth")


@pytest.mark.parametrize("form", ["{split}/{side}", "{side}/{split}", "{split}{side}", "{split}_{side}"])
def test_folders_for_tests_are_held_out(form, tmp_path):
    for split, count in (("train", 4), ("val", 2)):
        for side in "AB":
            for i in range(count):
                path = tmp_path / form.format(split=split, side=side) / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                photo(i).save(path)
    opened, splits = stored(tmp_path)
    assert (len(splits["train"]), len(splits["held_out"])) == (4, 2)
    assert facts(opened)["held out"].startswith("the 2 pairs")
    assert not opened.left_out


def test_partners_may_have_other_suffixes(tmp_path):
    save(tmp_path, A__a__png=photo(0), A__b__bmp=photo(1), B__a__bmp=photo(2), B__b__png=photo(3))
    assert len(source(tmp_path)) == 2
    save(tmp_path, A__c__png=photo(4), A__c__bmp=photo(5), B__c__png=photo(6))  # the same suffix wins
    opened = source(tmp_path)
    assert (opened.decode(2)["given"] == np.asarray(photo(4)).transpose(2, 0, 1)).all()
    (left,) = opened.left_out
    assert (left.count, left.what, left.example) == (1, "pictures in A", "A/c.bmp")


def test_pictures_without_a_partner_are_named_and_counted(tmp_path):
    folders(tmp_path)
    save(tmp_path, image__x__png=photo(), image__y__png=photo(), given__z__png=photo(), stray__png=photo())
    save(tmp_path, depth__0__png=photo())
    left = {(one.count, one.what, one.example) for one in source(tmp_path).left_out}
    assert left == {
        (2, "pictures in image", "image/x.png"),
        (1, "pictures in given", "given/z.png"),
        (1, "pictures outside the two folders", "stray.png"),
        (1, "pictures in depth", "depth/0.png"),
    }


def test_sides_without_common_names_are_refused(tmp_path):
    save(tmp_path, A__1__png=photo(), B__2__png=photo())
    with pytest.raises(
        DataError, match=r"none of the 1 pictures in B has a partner .*B/2.png.*A/1.png.*--data.labels folders"
    ):
        source(tmp_path)


def test_an_empty_side_is_named(tmp_path):
    folders(tmp_path, "A", "B")
    shutil.rmtree(tmp_path / "B")
    (tmp_path / "B").mkdir()
    with pytest.raises(
        DataError, match=r"needs two folders with pictures in .*, and there is A; put the given pictures"
    ):
        source(tmp_path)
    with pytest.raises(DataError, match="no pictures in"):
        source(tmp_path / "B")


def test_more_than_two_folders_need_known_names(tmp_path):
    folders(tmp_path, "given", "left")
    save(tmp_path, right__0__png=photo())
    with pytest.raises(DataError, match="given, left, right, and pairs need two; call the folder"):
        source(tmp_path)


def test_subfolders_may_be_classes(tmp_path):
    for kind in ("cat", "dog"):
        for i in range(3):
            save(tmp_path, **{f"A__{kind}__{i}__png": photo(i), f"B__{kind}__{i}__png": photo(i)})
    save(tmp_path, A__dog__3__png=photo(), B__dog__3__png=photo(), A__x__png=photo(), B__x__png=photo())
    opened, splits = stored(tmp_path, labels="folders")
    assert (opened.info["classes"], opened.info["class_counts"]) == (["cat", "dog"], [3, 4])
    assert sorted(splits["train"].store.gather("label", np.arange(7)).tolist()) == [0] * 3 + [1] * 4
    assert [left.count for left in opened.left_out] == [1]
    assert source(tmp_path, labels="folders", min_class=4).info["classes"] == ["dog"]
    with pytest.raises(DataError, match="a subfolder for each class inside both sides"):
        source(folders(tmp_path / "flat"), labels="folders")


def test_an_archive_is_read_like_its_folder(tmp_path):
    root = folders(tmp_path / "d", "A", "B")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", root)
    one, two = source(root), source(packed)
    assert len(two) == 6
    assert (one.decode(3)["given"] == two.decode(3)["given"]).all()


def test_what_holds_no_files_has_no_stored_pairs(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((4, 8, 8, 3), np.uint8))
    with pytest.raises(ConfigError, match=r"data.pairs = folders reads a folder or an archive"):
        source(tmp_path / "x.npz")


def test_settings_that_do_nothing_are_refused(tmp_path):
    for options in ({"given": "A"}, {"factor": 4}):
        with pytest.raises(ConfigError, match="set both, or leave"):
            source(tmp_path, "left", **options)
    with pytest.raises(ConfigError, match=r"does not fit data.pairs = grey"):
        source(tmp_path, "grey", given_labels=True)
    with pytest.raises(ConfigError, match="no class for the bars"):
        source(tmp_path, given_labels=True, fit="pad")
