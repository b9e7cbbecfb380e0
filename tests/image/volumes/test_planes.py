"""Slices look the same for every file, and volumes return to a file's own order."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_volumes import OBLIQUE

from polygan_image.data.volumes import planes

SHAPE = (3, 4, 5)


def affines():
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            affine = np.eye(4)
            affine[:3, :3] = np.eye(3)[list(order)].T * signs
            yield affine


def test_turns_are_those_of_nibabel():
    nibabel = pytest.importorskip("nibabel", reason="compares with nibabel")
    array = np.arange(60).reshape(SHAPE)
    for affine in [*affines(), OBLIQUE]:
        turn = planes.turn_of(affine)
        assert turn.letters == "".join(nibabel.aff2axcodes(affine))
        canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(array.astype(np.int16), affine))
        np.testing.assert_array_equal(planes.canonical(array, turn), np.asarray(canonical.dataobj))


def test_what_was_turned_returns_to_the_files_order():
    array = np.arange(60).reshape(SHAPE)
    for affine in affines():
        turn = planes.turn_of(affine)
        np.testing.assert_array_equal(planes.as_filed(planes.canonical(array, turn), turn), array)


@pytest.mark.parametrize(("axis", "size"), [("sagittal", (4, 5)), ("coronal", (3, 5)), ("axial", (3, 4))])
def test_pictures_have_right_or_front_on_the_right_and_top_or_front_above(axis, size):
    array, number = np.arange(60).reshape(SHAPE), planes.AXES[axis]
    assert planes.size_of(SHAPE, number) == size
    picture = planes.picture(array, number, 1)
    assert picture.shape == size[::-1]
    last = [-1, -1, -1]
    last[number] = 1
    assert picture[0, -1] == array[tuple(last)]
    copy = np.zeros_like(array)
    for k in range(SHAPE[number]):
        planes.put(copy, number, k, planes.picture(array, number, k))
    np.testing.assert_array_equal(copy, array)
