"""Pictures in IDX and NPZ files."""

import gzip
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_pictures import source

from polygan import ConfigError, DataError
from polygan_image.data import arrays, formats
from polygan_image.domain import ImageSettings


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


def test_arrays_keep_their_values(tmp_path):
    path, values = tmp_path / "a.npz", np.array([0.0, 0.5, 1.0, 0.25]).reshape(1, 2, 2)
    kinds = [(np.uint16, "uint16"), (">u2", "uint16"), (np.int16, "int16"), (">f8", "float32"), (np.float16, "float32")]
    for dtype, kept in kinds:
        images = values.astype(dtype) if kept == "float32" else (values * 4000 - 5 * (kept == "int16")).astype(dtype)
        np.savez(path, images=images)
        found = source(path)
        image = found.decode(0)["image"]
        assert (found.fields["image"].dtype, found.info["dtype"], image.dtype.name) == (kept, kept, kept)
        np.testing.assert_array_equal(image, images)
        assert found.info["window"] == [images.min(), images.max()]
    np.savez(path, images=np.zeros((2, 2, 2), np.int64))
    with pytest.raises(DataError, match=r"int64; uint8, uint16, int16, float32 .*convert"):
        source(path)


@pytest.mark.parametrize(
    ("shape", "facts"),
    [((2, 8, 9, 5), (5, 8, 9)), ((2, 5, 8, 9), (5, 8, 9)), ((2, 8, 8, 2), (2, 8, 8)), ((2, 9, 8), (1, 9, 8))],
)
@pytest.mark.parametrize("file", ["a.npz", "a.npy"])
def test_any_number_of_channels(tmp_path, file, shape, facts):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / file
    np.save(path, images) if file.endswith("npy") else np.savez(path, images=images)
    found = source(path)
    assert len(found) == 2
    assert found.decode(1)["image"].shape == facts
    expected = images[1] if shape[1:] == facts else images[1].reshape(*shape[1:3], facts[0]).transpose(2, 0, 1)
    np.testing.assert_array_equal(found.decode(1)["image"], expected.reshape(facts))
    assert "window" not in found.info
    if facts[0] != 1:
        with pytest.raises(ConfigError, match=r"data.channels = 1: .* keep their channels; leave --data.channels out"):
            source(path, channels=1)


@pytest.mark.parametrize("shape", [(2, 5, 8, 5), (2, 8, 8, 8), (2, 9, 9, 200), (8, 8)])
def test_an_array_whose_channels_are_not_clear_is_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint16))
    np.savez(tmp_path / "b.npz", images=np.zeros(shape, np.uint16))
    for name in ("a.npy", "b.npz"):
        with pytest.raises(DataError, match=rf"{name}: an array of shape .*\(n, H, W, C\)"):
            source(tmp_path / name)


def test_an_npy_file_that_is_cut_off_or_none_is_named(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((3, 8, 8), np.uint16))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="375 bytes where its header promises 384"):
        source(path)
    path.write_bytes(b"no array at all")
    with pytest.raises(DataError, match=r"a\.npy: not a readable \.npy file"):
        source(path)
    np.save(path, np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy"):
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


def test_small_pictures_of_an_array_are_refused_too(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(DataError, match="8x8 pixels are too few for 16x16"):
        source(tmp_path / "a.npz", resolution=16, smaller="refuse").decode(0)
    with pytest.raises(
        ConfigError, match=r"data.smaller = 'refused' is unknown .did you mean 'refuse'\?.; known are enlarge, refuse"
    ):
        ImageSettings(smaller="refused")


# What an array may claim


def test_an_idx_file_that_claims_more_than_it_holds_is_not_read(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    head = bytes([0, 0, 8, 3])
    for shape in ((2**31 - 1, 2**31 - 1, 2**31 - 1), (60_000, 28, 28)):
        path.write_bytes(head + np.asarray(shape, ">i4").tobytes() + bytes(100))
        with pytest.raises(DataError, match=r"100 bytes where its header promises .*fetch it again"):
            source(path)
        (tmp_path / "a.idx.gz").write_bytes(gzip.compress(path.read_bytes()))
        if shape[0] > 60_000:
            with pytest.raises(DataError, match="more than 200 times the size of the file"):
                source(tmp_path / "a.idx.gz")
    path.write_bytes(head + np.asarray((-1, 4, 4), ">i4").tobytes())
    with pytest.raises(DataError, match="its header promises"):
        source(path)
    idx(path, np.zeros((2, 40, 40), np.uint8), zipped=False)
    with pytest.raises(
        DataError, match=r"40x40 are more than data\.max_pixels = 1,599 pixels; type --data\.max_pixels 1600"
    ):
        source(path, max_pixels=1599)


def test_a_gzip_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "most_unpacked", lambda packed: 200 * packed)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    idx(path, np.zeros((64, 64, 64), np.uint8))
    assert path.stat().st_size < 1000
    with pytest.raises(DataError, match="more than 200 times"):
        source(path)
    assert formats.most_unpacked(10) == 2**26


def npz_with(path, header, data=b""):
    """An NPZ file whose member images has this text as its header."""
    text = header.encode().ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (
            "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999, 999, 999)}",
            "0 bytes where its header promises",
        ),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", "Python objects, which are not read"),
        (
            "{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 2, 2)}",
            "0 bytes where its header promises|cannot be read",
        ),
        ("__import__('os').abort()", "cannot be read"),
    ],
)
def test_an_npz_member_that_claims_what_it_is_not_is_not_read(tmp_path, header, words):
    npz_with(tmp_path / "a.npz", header)
    with pytest.raises(DataError, match=rf"a\.npz: images .*({words})"):
        source(tmp_path / "a.npz")


def test_an_npz_member_that_expands_without_end_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "most_unpacked", lambda packed: 200 * packed)
    for images, labels in (((100, 100, 100), (100,)), ((2, 4, 4), (10**6,))):
        values = (
            np.random.default_rng(0).integers(0, 256, images, dtype=np.uint8)
            if images[0] == 2
            else np.zeros(images, "u1")
        )
        np.savez_compressed(tmp_path / "a.npz", images=values, labels=np.zeros(labels, np.int64))
        with pytest.raises(DataError, match=r"unpacks to .* bytes, more than 200 times its size"):
            source(tmp_path / "a.npz")


def test_small_classes_of_an_array_are_left_out(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.array([7, 3, 3, 9, 3, 9]))
    found = source(tmp_path / "a.npz", min_class=2)
    assert (found.info["classes"], found.info["class_counts"], len(found)) == (["3", "9"], [3, 2], 5)
    assert [int(found.decode(i)["label"]) for i in range(5)] == [0, 0, 1, 0, 1]
    np.testing.assert_array_equal(found.decode(2)["image"], images[3:4])
    assert (found.name(2), [line.count for line in found.left_out]) == ("picture 3", [1])
    assert found.info_without([0])["class_counts"] == [2, 2]
    assert found.fingerprint() != source(tmp_path / "a.npz").fingerprint()
    np.savez(tmp_path / "b.npz", images=images)
    with pytest.raises(ConfigError, match="min_class needs classes"):
        source(tmp_path / "b.npz", min_class=2)


def test_what_an_array_is_made_into_is_told(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((3, 4, 8), np.uint8), labels=np.array([0, 1, 1]))
    facts = {fact.name: fact.text for fact in source(tmp_path / "a.npz", resolution="4x4").describe()}
    assert facts == {
        "from": str(tmp_path / "a.npz"),
        "sizes": "8x4, all pictures",
        "made": "4x4; 50.0% of the area is cropped away",
        "channels": "1 (grey)",
        "classes": "2: 1 (2), 0 (1)",
    }


def test_other_files_beside_the_idx_file_that_is_used_are_named(tmp_path):
    for name in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz", "more.idx"):
        idx(tmp_path / name, np.zeros((2, 4, 4), np.uint8), zipped=name.endswith("gz"))
    idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(2, np.uint8), zipped=False)
    (tmp_path / "a.png").write_bytes(b"x")
    found = source(tmp_path)
    left = {line.what: line for line in found.left_out}
    assert found.describe()[0].text.endswith("train-images-idx3-ubyte")
    assert left["IDX files of pictures"].count == 2
    assert "train-images-idx3-ubyte is used; name another with --data" in left["IDX files of pictures"].why
    assert left[".png file"].count == 1
    assert len(left) == 2
