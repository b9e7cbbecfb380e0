"""Sources of pictures: folders, Hugging Face sets, and what a bad input says."""

import struct
import sys
import types
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from made_pictures import gradient, one, source

from polygan import DataError
from polygan.data import build_store
from polygan_image.data import pictures
from polygan_image.data.folders import FolderSource
from polygan_image.domain import ImageSettings

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


# Bad input


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
    with pytest.raises(
        DataError, match=r"hf:mnist needs the package datasets; pip install 'polygan-image\[datasets\]'"
    ):
        source("hf:mnist")


def pets(kinds=(1, 0, 1)):
    """A data set of the library: small grey pictures with a class."""
    library = pytest.importorskip("datasets", reason="datasets is not installed: pip install datasets")
    features = library.Features({"pic": library.Image(), "kind": library.ClassLabel(names=["cat", "dog", "eel"])})
    rows = {"pic": [Image.new("L", (6, 4), 10 * (i + 1)) for i in range(len(kinds))], "kind": [*kinds]}
    return library.Dataset.from_dict(rows, features=features)


@pytest.mark.parametrize("kind", ["saved", "saved, named", "file", "folder", "folder, named"])
def test_hugging_face_folders_and_files_on_disk(tmp_path, monkeypatch, kind):
    data, place = pets(), tmp_path / "set"
    monkeypatch.setattr(sys.modules["datasets"].config, "HF_DATASETS_CACHE", tmp_path / "cache")
    if kind.startswith("saved"):
        data.save_to_disk(place)
    elif kind == "file":
        place = tmp_path / "set.parquet"
        data.to_parquet(str(place))
    else:
        (place / "data").mkdir(parents=True)
        data.to_parquet(str(place / "data/train-00000-of-00001.parquet"))
    named = f"hf:{place}" if "named" in kind else str(place)
    found = source(named)
    assert (len(found), found.info["classes"]) == (3, ["cat", "dog", "eel"])
    sample = found.decode(2)
    assert (int(sample["label"]), sample["image"].shape, int(sample["image"].max())) == (1, (1, 4, 6), 30)
    assert found.name(2) == f"{named} row 3"
    assert source(named).fingerprint() == found.fingerprint()


def test_other_splits_and_small_classes_of_a_hugging_face_set_are_counted(monkeypatch):
    data = pets((0, 2, 2, 1, 0))
    asked = []
    monkeypatch.setattr(
        sys.modules["datasets"],
        "load_dataset",
        lambda **o: asked.append(o) or {"test": data.select([0, 1]), "train": data},
    )
    found = source("hf:pets", min_class=2)
    assert (found.info["classes"], found.info["class_counts"]) == (["cat", "eel"], [2, 2])
    assert [int(found.decode(i)["label"]) for i in range(4)] == [0, 1, 1, 0]
    assert [(line.count, line.what) for line in found.left_out] == [
        (2, "rows of the split test"), (1, "pictures of 1 small class"),
    ]  # fmt: skip
    assert source("hf:pets").info["class_counts"] == [2, 1, 2]
    assert len(source("hf:pets@v1:small#test")) == 2
    assert [asked[0], asked[-1]] == [{"path": "pets"}, {"path": "pets", "revision": "v1", "name": "small"}]


def test_hugging_face_failures_are_one_line(monkeypatch):
    def refuse(path):
        raise FileNotFoundError(f"no {path}\non the hub")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=refuse))
    with pytest.raises(DataError, match="hf:x cannot be loaded: no x on the hub"):
        source("hf:x")


def test_opening_decodes_nothing(tmp_path, monkeypatch):
    for i in range(3):
        Image.new("L", (8, 8), i).save(tmp_path / f"{i}.png")
    monkeypatch.setattr(Image.Image, "convert", lambda *a: pytest.fail("decoded"))
    monkeypatch.setattr(pictures, "to_array", lambda *a: pytest.fail("decoded"))
    assert len(FolderSource(tmp_path, ImageSettings(source=str(tmp_path)))) == 3


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
    found._settle(found.settings, (8, 8), 1, ["a", "b", "unused"])
    assert found.info["class_counts"] == [1, 2, 0]
    assert int(found.decode(0)["label"]) == 0
    with pytest.raises(DataError, match="has the label -1, which is no class"):
        found.decode(1)
