"""Pictures in zip and tar archives: what a folder gives, without unpacking by hand."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from made_pictures import gradient, source

from polygan import DataError
from polygan_image.data import archives

KINDS = [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"]


@pytest.fixture
def pets(tmp_path):
    """A folder of two classes with things beside them."""
    root = tmp_path / "pets"
    for k, name in enumerate(("cats", "dogs")):
        (root / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(gradient() + np.uint8(10 * i + 5 * k)).save(root / name / f"{i}.png")
    (root / "cats/x.svg").write_text("<svg/>")
    (root / "README").write_text("hello")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX/._0.png").write_text("x")
    (root / "cats/.hidden.png").write_text("x")
    return root


def packed(root, kind, inside="data/pets"):
    path = root.with_name(f"{root.name}{kind}")
    if kind == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(root.rglob("*")):
                archive.write(file, f"{inside}/{file.relative_to(root)}")
    else:
        packing = {".tgz": "gz", ".tar": ""}.get(kind, kind.rpartition(".")[2])
        with tarfile.open(path, f"w:{packing}") as archive:
            archive.add(root, inside)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_gives_what_its_folder_gives(pets, kind):
    whole = source(pets, labels="folders", resolution="6x4")
    found = source(packed(pets, kind), labels="folders", resolution="6x4")
    assert found.info == whole.info
    assert found.describe() == whole.describe()
    assert found.left_out == whole.left_out
    assert [line.what for line in found.left_out] == [".svg file", "file without a suffix"]
    with ThreadPoolExecutor(8) as pool:
        for i, sample in enumerate(pool.map(found.decode, list(range(6)) * 4)):
            for name, value in whole.decode(i % 6).items():
                np.testing.assert_array_equal(sample[name], value)
    assert found.name(0) == str(pets.with_name(f"pets{kind}") / "data/pets/cats/0.png")


def test_a_compressed_tar_that_is_known_is_not_unpacked_again(pets, monkeypatch, tmp_path):
    path, options = packed(pets, ".tar.gz"), {"cache": str(tmp_path / "cache")}
    first = source(path, **options)
    assert [p for p in (tmp_path / "cache").iterdir() if p.name != "learned"] == []  # what was unpacked has no name
    monkeypatch.setattr(archives.Tar, "_unpacked", lambda *a: pytest.fail("unpacked"))
    again = source(path, **options)
    assert (again.fingerprint(), again.info) == (first.fingerprint(), first.info)
    os.utime(path, ns=(1, 1))
    assert path.stat().st_mtime_ns == 1
    monkeypatch.undo()
    assert source(path, **options).fingerprint() != first.fingerprint()


@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
def test_many_bytes_of_a_member_stay_out_of_memory(pets, kind, monkeypatch):
    whole = source(pets)
    monkeypatch.setattr(archives, "_IN_MEMORY", 10)
    monkeypatch.setattr(archives, "_PIECE", 7)
    found = source(packed(pets, kind))
    assert not isinstance(found.place.open("cats/0.png"), io.BytesIO)
    np.testing.assert_array_equal(found.decode(4)["image"], whole.decode(4)["image"])


@pytest.mark.parametrize("kind", [".zip", ".tar"])
def test_a_member_with_too_many_bytes_is_not_read(tmp_path, kind):
    (tmp_path / "a").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "a/0.png")
    with (tmp_path / "a/bomb.png").open("wb") as file:
        file.truncate(2**20 + 9000)  # zeros: almost nothing in a zip
    path = packed(tmp_path / "a", kind)
    found = source(path, max_pixels=1000)
    assert found.info["height"] == 4
    with pytest.raises(DataError, match=r"1,057,576 bytes, and at most 1,056,576 are read; raise --data\.max_pixels"):
        found.decode(1)


def test_a_tar_that_expands_without_end_is_stopped(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    with (tmp_path / "a/zeros.png").open("wb") as file:
        file.truncate(2**22)
    path = packed(tmp_path / "a", ".tar.gz")
    monkeypatch.setattr(archives, "most_unpacked", lambda packed: 2**21)
    with pytest.raises(DataError, match=r"a\.tar\.gz: unpacks to more than 2,097,152 bytes.*unpack it by hand"):
        source(path)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_archives_are_one_line(pets, kind, tmp_path):
    path = packed(pets, kind)
    whole = path.read_bytes()
    for data in (b"", b"PK no zip", whole[:40], whole[: len(whole) // 2]):
        path.write_bytes(data)
        fault = _first_fault(path)  # a plain tar that is cut off may have lost only what follows the pictures
        assert "\n" not in fault
        assert not fault or path.name in fault or "archive" in fault
        assert fault or kind == ".tar"


def _first_fault(path):
    try:
        found = source(path)
        for i in range(len(found)):
            found.decode(i)
    except DataError as error:
        return str(error)
    return ""


def test_links_and_encrypted_files_are_counted(pets):
    path = packed(pets, ".tar")
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("data/pets/cats/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    line = next(line for line in source(path).left_out if line.what == "links")
    assert (line.count, line.example) == (1, "data/pets/cats/link.png")
    path = packed(pets, ".zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2", data.index(b"pets/cats/0.png", data.index(b"PK\1\2")) - 60) + 8] |= 1
    path.write_bytes(data)
    found = source(path)
    line = next(line for line in found.left_out if line.what == "encrypted files")
    assert (line.count, len(found)) == (1, 5)


@pytest.mark.parametrize("inside", ["", "00000/"])
@pytest.mark.parametrize("kind", ["folder", ".zip", ".tar"])
def test_the_layout_of_stylegan(tmp_path, kind, inside):
    root = tmp_path / "set"
    (root / inside).mkdir(parents=True)
    for i in range(4):
        Image.fromarray(gradient() + np.uint8(i)).save(root / f"{inside}img{i:08d}.png")
    labels = [[f"{inside}img{i:08d}.png", label] for i, label in ((0, 10), (1, 9), (3, 10), (7, 9))]
    (root / "dataset.json").write_text(json.dumps({"labels": labels}))
    path = root if kind == "folder" else packed(root, kind, ".")
    found = source(path)
    assert found.info["classes"] == ["9", "10"]
    assert found.info["class_counts"] == [1, 2]
    assert [int(found.decode(i)["label"]) for i in range(3)] == [1, 0, 1]
    left = {line.what: (line.count, line.example) for line in found.left_out}
    assert left == {
        "pictures": (1, left["pictures"][1]),
        "entries of dataset.json": (1, f"{inside}img00000007.png"),
    }
    assert left["pictures"][1].endswith("img00000002.png")
    assert len(source(path, labels="none")) == 4


def test_a_zip_with_a_class_table_in_a_folder_above(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(2):
            stream = io.BytesIO()
            Image.new("L", (4, 4), i).save(stream, "PNG")
            archive.writestr(f"set/deep/{i}.png", stream.getvalue())
        archive.writestr("set/dataset.json", json.dumps({"labels": [["deep/0.png", 0], ["deep/1.png", 1]]}))
    assert source(tmp_path / "a.zip").info["classes"] == ["0", "1"]
