"""Volumes as data: values in their units, slices left out, the split by volume, pairs, and bad files."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_volumes import dicom, nifti, values

from polygan import ConfigError, DataError
from polygan.data import build_store, split_store
from polygan_image.data.pairs.source import PairedSource
from polygan_image.data.volumes import planes
from polygan_image.domain import ImageDomain, ImageSettings


def opened(path, tmp_path, **options):
    return ImageDomain().open(ImageSettings(source=str(path), cache=str(tmp_path / "cache"), **options))


def facts(source):
    return {fact.name: fact.text for fact in source.describe()}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_slices_of_a_flipped_file_are_those_of_the_plain_file(tmp_path, suffix):
    array = values()
    plain = opened(nifti(tmp_path / f"plain{suffix}", array), tmp_path)
    flipped = nifti(tmp_path / f"flipped{suffix}", array[::-1, :, ::-1], np.diag([-1.0, 1, -1, 1]))
    turned = opened(flipped, tmp_path)
    assert len(plain) == len(turned) == 5
    assert plain.fields["image"] == ("int16", (1, 8, 6))
    for k in range(5):
        np.testing.assert_array_equal(plain.decode(k)["image"], turned.decode(k)["image"])
        np.testing.assert_array_equal(plain.decode(k)["image"][0], array[:, ::-1, k].T)
    assert facts(turned)["orientation"].startswith("LAI in the files")
    assert plain.info["axis"] == "axial"
    assert plain.info["window"] == [array.min(), array.max()]


def test_the_axis_chooses_the_slices_and_spacing_is_told(tmp_path):
    path = nifti(tmp_path / "a.nii", values(), np.diag([1.0, 2, 3, 1]))
    sagittal = opened(path, tmp_path, axis="sagittal", resolution="8x5")
    assert len(sagittal) == 6
    np.testing.assert_array_equal(sagittal.decode(2)["image"][0], values()[2, :, ::-1].T)
    assert facts(sagittal)["spacing"] == "1x2x3 mm (right, front, top)"
    assert facts(sagittal)["volumes"].startswith("1 in ")
    assert facts(sagittal)["slices"].startswith("6 sagittal")


def test_fractions_by_a_slope_become_float32_and_whole_slopes_stay_whole(tmp_path):
    half = opened(nifti(tmp_path / "half.nii", values(), slope=0.5, inter=1), tmp_path)
    assert half.dtype == "float32"
    np.testing.assert_array_equal(half.decode(0)["image"][0], values()[:, ::-1, 0].T * 0.5 + 1)
    byte = opened(nifti(tmp_path / "byte.nii", (values() & 255).astype(np.uint8), slope=2, inter=-9), tmp_path)
    assert byte.dtype == "int16"
    np.testing.assert_array_equal(byte.decode(0)["image"][0], (values() & 255)[:, ::-1, 0].T * 2 - 9)


def test_slices_of_one_value_are_left_out_and_counted(tmp_path):
    array = values()
    array[:, :, [0, 3]] = 7
    source = opened(nifti(tmp_path / "a.nii", array), tmp_path)
    assert [row.at for row in source.rows] == [1, 2, 4]
    assert (source.left_out[0].count, source.left_out[0].what) == (2, "axial slices")
    with pytest.raises(DataError, match="holds one value everywhere"):
        opened(nifti(tmp_path / "b.nii", np.zeros((4, 4, 4), np.int16)), tmp_path)


def test_no_volume_lies_on_both_sides_of_the_split(tmp_path):
    for i in range(5):
        nifti(tmp_path / f"set/{i}.nii.gz", values(seed=i))
    source = opened(tmp_path / "set", tmp_path, held_out=0.3, window="-1000 2000")
    parts = split_store(build_store(source, source.settings, progress=False), 0.3)
    sides = {name: {source.rows[row].volume for row in part.rows.tolist()} for name, part in parts.items()}
    assert not sides["train"] & sides["held_out"]
    assert (len(sides["train"]), len(sides["held_out"])) == (3, 2)
    assert "all slices of 2 of the 5 volumes" in facts(source)["held out"]


def test_the_only_volume_holds_out_its_last_slices(tmp_path):
    path = nifti(tmp_path / "a.nii", values((6, 8, 10)))
    assert opened(path, tmp_path, held_out=0.2).held_out == [0] * 8 + [1] * 2
    assert opened(path, tmp_path, held_out=0).held_out is None


def test_bad_volumes_are_named_or_refused(tmp_path):
    with pytest.raises(DataError, match=r"4d\.nii has 4 dimensions \(4x4x4x2\).*four_to_three"):
        opened(nifti(tmp_path / "4d.nii", np.zeros((4, 4, 4, 2), np.int16)), tmp_path)
    (tmp_path / "text.nii").write_text("no volume" * 100)
    with pytest.raises(DataError, match="is no NIfTI volume"):
        opened(tmp_path / "text.nii", tmp_path)
    cut = nifti(tmp_path / "cut.nii", values())
    cut.write_bytes(cut.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"promises 832 bytes"):
        opened(cut, tmp_path)
    nifti(tmp_path / "set/good.nii", values())
    (tmp_path / "set/bad.nii").write_text("no volume" * 100)
    with pytest.raises(DataError, match=r"bad\.nii is no NIfTI.*1 of 2 volumes"):
        opened(tmp_path / "set", tmp_path)
    source = opened(tmp_path / "set", tmp_path, max_bad=0.5)
    assert (len(source), source.left_out[0].example.endswith("bad.nii")) == (5, True)


def test_nan_is_refused_by_its_slice(tmp_path):
    array = values().astype(np.float32)
    array[0, 0, 2] = np.nan
    source = opened(nifti(tmp_path / "a.nii", array), tmp_path, window="-1000 2000")
    source.decode(1)
    with pytest.raises(DataError, match="NaN"):
        source.decode(2)


def test_settings_of_pictures_are_refused(tmp_path):
    path = nifti(tmp_path / "a.nii", values())
    with pytest.raises(ConfigError, match=r"data\.labels = folders"):
        opened(path, tmp_path, labels="folders")
    with pytest.raises(ConfigError, match=r"given_labels = true"):
        opened(tmp_path, tmp_path, pairs="folders", given_labels=True)


def test_a_missing_package_is_one_line_with_what_to_type(tmp_path, monkeypatch):
    path = nifti(tmp_path / "a.nii", values())
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(DataError, match=r"needs the package nibabel; pip install 'polygan-image\[nifti\]'"):
        opened(path, tmp_path)
    (tmp_path / "x.dcm").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DataError, match=r"needs the package pydicom; pip install 'polygan-image\[dicom\]'"):
        opened(tmp_path / "x.dcm", tmp_path)


# DICOM


@pytest.mark.parametrize("suffix", [".dcm", ""])
def test_a_series_is_a_volume_sorted_by_place_in_hounsfield_units(tmp_path, suffix):
    array = values((5, 8, 6), low=0, high=4000)
    source = opened(dicom(tmp_path / "ct", array, suffix=suffix), tmp_path)
    assert (len(source), source.dtype) == (5, "int16")
    assert facts(source)["orientation"].startswith("LPS")
    assert facts(source)["spacing"] == "0.75x0.5x1 mm (right, front, top)"
    lowest = source.decode(0)["image"][0]  # the file that was written last
    np.testing.assert_array_equal(lowest, array[-1][:, ::-1].astype(int) - 1024)


def test_bad_series_are_told(tmp_path):
    array = values((3, 4, 6), low=0, high=4000)
    with pytest.raises(DataError, match=r"ct has a file without pixels, b\.dcm"):
        opened(dicom(tmp_path / "one/ct", array, without_pixels=(1,)).parent, tmp_path)
    with pytest.raises(DataError, match=r"several slices at one place"):
        opened(dicom(tmp_path / "times", array, ImagePositionPatient=[0, 0, 0]), tmp_path)
    with pytest.raises(DataError, match=r"holds 3 frames in one file.*dcm2niix"):
        opened(dicom(tmp_path / "frames", array, NumberOfFrames=3), tmp_path)
    with pytest.raises(DataError, match=r"holds no pixels"):
        opened(dicom(tmp_path / "report", array, Rows=0), tmp_path)
    with pytest.raises(DataError, match=r"holds colours"):
        opened(dicom(tmp_path / "colour", array, SamplesPerPixel=3), tmp_path)


def test_a_missing_codec_is_told_with_the_package(tmp_path, monkeypatch):
    folder = dicom(tmp_path / "ct", values((2, 4, 6), low=0), syntax="1.2.840.10008.1.2.4.80")
    monkeypatch.setattr("polygan_image.data.volumes.dicom._lacks_codec", lambda syntax: True)
    with pytest.raises(DataError, match=r"compressed file, b\.dcm \(JPEG-LS.*pip install pylibjpeg"):
        opened(folder, tmp_path)


# Pairs


def paired(tmp_path, made, given, **options):
    for i, (one, other) in enumerate(zip(made, given, strict=True)):
        nifti(tmp_path / f"set/image/{i}.nii.gz", one)
        nifti(tmp_path / f"set/given/{i}.nii", other)
    return opened(tmp_path / "set", tmp_path, pairs="folders", **options)


def test_slices_of_two_folders_are_pairs_by_their_index(tmp_path):
    made, given = ([values(seed=s) for s in seeds] for seeds in ((1, 2), (3, 4)))
    given[0][:, :, 1] = 0
    source = paired(tmp_path, made, given, given_window="-1000 2000")
    assert isinstance(source, PairedSource)
    assert len(source) == 9
    sample = source.decode(1)
    np.testing.assert_array_equal(sample["image"][0], planes.picture(made[0], 2, 2))
    np.testing.assert_array_equal(sample["given"][0], planes.picture(given[0], 2, 2))
    assert source.info["given"] == {"channels": 1, "window": [-1000, 2000], "dtype": "int16"}
    assert {source.made.rows[i].volume for i in range(9) if source.decode(i)["held_out"]} in ({0}, {1})
    assert source.left_out[0].count == 1


def test_partners_of_other_shapes_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"has 6x8x5 values, and its partner .* has 8x6x5"):
        paired(tmp_path, [values()], [values((8, 6, 5))])
