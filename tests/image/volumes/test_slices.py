"""A volume given is a volume made: affine, shape, order and values; larger slices; what makes no volume."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from made_volumes import OBLIQUE, dicom, nifti, values

from polygan import ConfigError, DataError, Samples
from polygan_image.domain import ImageDomain

nibabel = pytest.importorskip("nibabel", reason="NIfTI needs nibabel")
DOMAIN = ImageDomain()


def info(**more):
    facts = {"dtype": "int16", "window": [-1000, 2000], "channels": 1, "width": 16, "height": 16}
    return {
        **facts,
        "pairs": "folders",
        "given": {"channels": 1, "window": [-1000, 2000], "dtype": "int16"},
        "keeps_size": True,
        **more,
    }


def through(path, out, facts=None, change=lambda x: x):
    """A volume read and written, with made slices ``change(given)``."""
    facts = facts or info()
    pieces = (DOMAIN.complete(Samples(change(piece.data)), piece, facts) for piece in DOMAIN.read(path, facts))
    DOMAIN.write_file(pieces, out)
    return nibabel.load(out)


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("affine", [np.eye(4), np.diag([-1.0, 2, -3, 1]), OBLIQUE])
def test_affine_shape_and_whole_values_come_back(tmp_path, axis, affine):
    given = nifti(tmp_path / "in.nii.gz", values(), affine)
    made = through(given, tmp_path / "out.nii.gz", info(axis=axis))
    np.testing.assert_array_equal(made.affine, nibabel.load(given).affine)
    assert made.get_data_dtype() == np.int16
    np.testing.assert_array_equal(np.asarray(made.dataobj), values())
    for code in ("sform_code", "qform_code", "xyzt_units"):
        assert made.header[code] == nibabel.load(given).header[code]


def test_slices_come_one_by_one_with_a_header(tmp_path):
    pieces = list(DOMAIN.read(nifti(tmp_path / "in.nii", values()), info()))
    assert (len(pieces), pieces[0].kind, pieces[0].data.shape) == (5, "frames", (1, 1, 8, 6))
    assert pieces[0].extra["header"]["orientation"] == "RAS"


def test_large_whole_numbers_and_fractions_are_scaled_to_int16(tmp_path):
    large = {"dtype": "uint16", "window": [0, 60_000]}
    array = values(low=0, high=30_000).astype(np.uint16) * 2
    facts = info(**large, given={"channels": 1, **large})
    made = through(nifti(tmp_path / "in.nii", array), tmp_path / "out.nii", facts)
    np.testing.assert_array_equal(np.asarray(made.dataobj), array)
    small = {"dtype": "float32", "window": [0, 2]}
    array = values(low=0, high=2000).astype(np.float32) / 1000
    facts = info(**small, given={"channels": 1, **small})
    made = through(nifti(tmp_path / "in.nii", array), tmp_path / "out.nii", facts)
    assert made.header.get_data_dtype() == np.int16
    np.testing.assert_allclose(np.asarray(made.dataobj), array, atol=2 / 65_534)


def test_bytes_and_a_trailing_dimension_come_back(tmp_path):
    array = (values() & 255).astype(np.uint8)[..., None]
    facts = {"channels": 1, "width": 16, "height": 16, "pairs": "folders", "given": {"channels": 1}, "keeps_size": True}
    made = through(nifti(tmp_path / "in.nii", array), tmp_path / "out.nii.gz", facts)
    assert made.shape == (6, 8, 5, 1)
    np.testing.assert_array_equal(np.asarray(made.dataobj), array)


def test_larger_slices_make_smaller_voxels_at_the_same_place(tmp_path):
    given = nifti(tmp_path / "in.nii", values(), np.diag([-1.0, 2, 3, 1]))
    made = through(given, tmp_path / "out.nii", change=lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert made.shape == (12, 16, 5)
    np.testing.assert_allclose(made.affine @ [0.5, 0.5, 1, 1], nibabel.load(given).affine @ [0, 0, 1, 1])
    np.testing.assert_array_equal(np.asarray(made.dataobj), values().repeat(2, 0).repeat(2, 1))


def test_a_series_in_a_folder_makes_a_nifti_file(tmp_path):
    array = values((5, 8, 6), low=0, high=2900)
    made = through(dicom(tmp_path / "ct", array), tmp_path / "out.nii.gz", info(window=[-1024, 2000], given={
        "channels": 1, "dtype": "int16", "window": [-1024, 2000]}))  # fmt: skip
    np.testing.assert_array_equal(np.asarray(made.dataobj), array[::-1].transpose(2, 1, 0).astype(int) - 1024)
    np.testing.assert_array_equal(made.affine, [[-0.75, 0, 0, 0], [0, -0.5, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1]])


def test_what_makes_no_volume_is_refused(tmp_path):
    given = nifti(tmp_path / "in.nii", values())
    with pytest.raises(DataError, match=r"3 channels make no volume"):
        through(given, tmp_path / "out.nii", change=lambda x: x.expand(-1, 3, -1, -1))
    with pytest.raises(DataError, match=r"make no volume"):
        through(given, tmp_path / "out.nii", change=lambda x: x[..., 1:])
    with pytest.raises(ConfigError, match=r"made from a volume alone"):
        DOMAIN.write_file([Samples(torch.zeros(1, 1, 4, 4), DOMAIN)], tmp_path / "out.nii")
    with pytest.raises(DataError, match=r"slices of 6x8, and the run makes pictures of 16x16 only"):
        through(given, tmp_path / "out.nii", info(keeps_size=False))
    whole = nifti(tmp_path / "half.nii", values().astype(np.float32) + 0.5)
    with pytest.raises(DataError, match="fractions"):
        through(whole, tmp_path / "out.nii")


def test_a_made_file_has_the_suffix_of_the_given_file():
    for name, suffix in (
        ("a.nii.gz", ".nii.gz"),
        ("a.NII", ".nii"),
        ("a.mov", ".mp4"),
        ("a.dcm", ".nii.gz"),
        ("a.tif", ".npy"),
    ):
        assert DOMAIN.made_suffix(Path(name), info()) == suffix
    assert DOMAIN.suffix_of("made/a.nii.gz") == ".nii.gz"


def test_a_folder_of_slices_is_one_input_and_a_folder_of_volumes_is_not(tmp_path):
    assert DOMAIN.is_one(dicom(tmp_path / "ct", values((2, 4, 4), low=0)))
    nifti(tmp_path / "set/a.nii", values())
    assert not DOMAIN.is_one(tmp_path / "set")
    dicom(tmp_path / "set", values((2, 4, 4), low=0))
    assert not DOMAIN.is_one(tmp_path / "set")
    dicom(tmp_path / "two", values((2, 4, 4), low=0))
    dicom(tmp_path / "two", values((3, 4, 4), low=0), suffix=".ima")
    with pytest.raises(DataError, match=r"two: holds 2 volumes"):
        list(DOMAIN.read(tmp_path / "two", info()))
