"""Which pictures of a folder are used, and their classes: by subfolder, by split, by dataset.json."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from made_pictures import gradient, source

from polygan import ConfigError, DataError
from polygan.data import build_store, split_store
from polygan_image.domain import ImageSettings


def save(root, counts):
    """Pictures ``root/NAME/0.png``, ``root/NAME/1.png``, ... by NAME."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.fromarray(gradient()).save(root / name / f"{i}.png")


def facts(found):
    return {fact.name: fact.text for fact in found.describe()}


def left(found):
    return {line.what: line.count for line in found.left_out}


def test_pictures_outside_the_class_folders_are_left_out_and_counted(tmp_path):
    save(tmp_path, {"cats": 2, "dogs": 3, ".": 2})
    found = source(tmp_path, labels="folders")
    assert (len(found), found.info["class_counts"]) == (5, [2, 3])
    assert left(found) == {"pictures outside the class folders": 2}
    assert facts(found)["classes"] == "2: dogs (3), cats (2)"
    save(tmp_path / "flat", {".": 2})
    with pytest.raises(DataError, match="has no subfolder with pictures"):
        source(tmp_path / "flat", labels="folders")


def test_small_classes_are_left_out_and_counted(tmp_path):
    save(tmp_path, {"ants": 1, "bees": 2, "cats": 4, "dogs": 3})
    with pytest.raises(DataError, match=r"ants holds one picture.*--data\.min_class 2"):
        source(tmp_path, labels="folders")
    found = source(tmp_path, labels="folders", min_class=3)
    assert (found.info["classes"], found.info["class_counts"]) == (["cats", "dogs"], [4, 3])
    assert [int(found.decode(i)["label"]) for i in range(7)] == [0] * 4 + [1] * 3
    (line,) = found.left_out
    assert (line.count, line.what, line.example) == (3, "pictures of 2 small classes", "ants, bees")
    assert found.fingerprint() != source(tmp_path, labels="folders", min_class=2).fingerprint()
    with pytest.raises(DataError, match=r"the largest, cats, has 4; lower --data\.min_class"):
        source(tmp_path, labels="folders", min_class=9)
    with pytest.raises(ConfigError, match=r"min_class needs classes; set --data\.labels folders"):
        source(tmp_path, min_class=2)


def test_splits_are_no_classes_but_held_out(tmp_path):
    save(tmp_path, {"train/cats": 3, "train/dogs": 2, "test/cats": 1, "Val/dogs": 1, "train": 1, "other/x": 1})
    found = source(tmp_path, labels="folders")
    assert found.info["classes"] == ["cats", "dogs"]
    assert left(found) == {"pictures outside the class folders": 2}
    assert facts(found)["held out"].startswith("the 2 pictures in Val and test")
    splits = split_store(build_store(found, ImageSettings(), progress=False), 0.5)
    assert {name: len(split) for name, split in splits.items()} == {"train": 5, "held_out": 2}
    save(tmp_path, {"test/cats": 2})
    assert source(tmp_path, labels="folders").fingerprint() != found.fingerprint()


def test_the_sides_of_cyclegan_are_two_classes_with_their_own_held_out_pictures(tmp_path):
    save(tmp_path, {"trainA": 3, "trainB": 4, "testA": 1, "test_B": 2, "sketches": 1, ".": 1})
    found = source(tmp_path, labels="folders")
    assert (found.info["classes"], found.info["class_counts"]) == (["A", "B"], [4, 6])
    assert left(found) == {"pictures outside the class folders": 2}
    assert facts(found)["held out"] == "the 3 pictures in testA and test_B, instead of a share of all (data.held_out)"
    splits = split_store(build_store(found, ImageSettings(), progress=False), 0.5)
    assert {name: len(split) for name, split in splits.items()} == {"train": 7, "held_out": 3}
    named = "none; --data.labels folders would take A and B from testA, test_B, trainA, trainB"
    assert facts(source(tmp_path))["classes"] == named


def test_a_side_without_a_training_folder_is_named(tmp_path):
    save(tmp_path, {"trainA": 2, "trainB": 2, "testC": 1})
    with pytest.raises(DataError, match=r"has testC, but no trainC; add the folder, or move testC away"):
        source(tmp_path, labels="folders")
    save(tmp_path / "one", {"trainA": 2, "testA": 2})
    assert source(tmp_path / "one", labels="folders").info["classes"] == ["A"]
    save(tmp_path / "others", {"trainA": 2, "planes": 2})
    assert source(tmp_path / "others", labels="folders").info["classes"] == ["planes", "trainA"]


def test_a_training_split_alone_gives_the_classes_below(tmp_path):
    save(tmp_path, {"train/cats": 2, "train/dogs": 2})
    found = source(tmp_path, labels="folders")
    assert (found.info["classes"], set(found.fields)) == (["cats", "dogs"], {"image", "label"})
    save(tmp_path / "cars", {"train": 2, "bus": 2})  # a class may be called train
    assert source(tmp_path / "cars", labels="folders").info["classes"] == ["bus", "train"]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"train": 2, "test": 2}, r"divided into train and test, which are no classes.*--data .*train"),
        (
            {"train/cats": 2, "test/cats": 2, "test/dogs": 2},
            r"test has the subfolder dogs, which train lacks.*--data .*train",
        ),
        ({"test/cats": 2, "val/cats": 2}, "no training split has subfolders"),
    ],
)
def test_splits_that_do_not_agree_are_refused_with_advice(tmp_path, counts, words):
    save(tmp_path, counts)
    with pytest.raises(DataError, match=words):
        source(tmp_path, labels="folders")


def test_a_folder_of_folders_without_classes_is_told(tmp_path):
    save(tmp_path, {"cats": 2, "dogs": 2})
    assert facts(source(tmp_path))["classes"] == "none; 2 subfolders, --data.labels folders would make them classes"
    save(tmp_path / "one", {"all/cats": 2, "all/dogs": 2})
    assert "classes" not in facts(source(tmp_path / "one"))
    assert f"--data {tmp_path / 'one/all'}" in facts(source(tmp_path / "one", labels="folders"))["advice"]
    save(tmp_path / "split", {"train": 2, "test": 2})
    assert f"--data {tmp_path / 'split/train'}" in facts(source(tmp_path / "split"))["classes"]
    assert "classes" not in facts(source(tmp_path / "split", labels="none"))
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "split")
    assert "an archive of train alone" in facts(source(tmp_path / "packed.zip"))["classes"]


def test_class_counts_leave_out_what_cannot_be_read(tmp_path):
    save(tmp_path, {"cats": 3, "dogs": 2})
    (tmp_path / "cats/1.png").write_bytes(b"x")
    (tmp_path / "dogs/1.png").write_bytes(b"x")
    found = source(tmp_path, labels="folders")
    assert found.info["class_counts"] == [3, 2]
    assert found.info_without([1, 4]) == {**found.info, "class_counts": [2, 1]}
    assert found.info_without([]) == found.info


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"labels": [["0.png", [0.0, 1.0]]]}', "not a file with the number of its class"),
        ('{"labels": [["0.png"]]}', "not a file with the number of its class"),
        ('{"labels": []}', "names none of the pictures"),
        ('{"labels": [["a.png", 0]]}', "names none of the pictures"),
    ],
)
def test_a_damaged_dataset_json_is_named(tmp_path, text, words):
    save(tmp_path, {".": 2})
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=rf"dataset\.json.* {words}.*data\.labels = none"):
        source(tmp_path)
    assert len(source(tmp_path, labels="none")) == 2


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ('{"labels": null}', {}),
        ('{"name": "mine"}', {".json file": 1}),
        ('{"labels": ["a", "b"]}', {".json file": 1}),
    ],
)
def test_a_dataset_json_without_classes_gives_none(tmp_path, text, counted):
    save(tmp_path, {".": 2})
    (tmp_path / "dataset.json").write_text(text)
    found = source(tmp_path)
    assert (found.info["classes"], left(found)) == ([], counted)


def test_small_classes_of_a_table_are_left_out(tmp_path):
    save(tmp_path, {".": 4})
    labels = [[f"{i}.png", int(i > 0)] for i in range(4)]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    found = source(tmp_path, min_class=2)
    assert (found.info["classes"], found.info["class_counts"], len(found)) == (["1"], [3], 3)
