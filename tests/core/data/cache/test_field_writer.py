"""A field that another writer left is continued to the bit, and refused where its files are not what was marked."""

from __future__ import annotations

import os

import numpy as np
import pytest

from polygan.data.cache.building import FieldWriter
from polygan.data.source import Field

FIELD = Field("int16", (None, 2))
SAMPLES = [np.full((n, 2), n, np.int16) for n in (3, 0, 2, 5, 1)]


def write(folder, upto=5):
    """The first samples, without an end; returns the mark after them."""
    with FieldWriter(folder, "x", FIELD) as writer:
        for sample in SAMPLES[:upto]:
            writer.add(sample)
        return writer.mark()


def finish(writer, samples):
    with writer:
        for sample in samples:
            writer.add(sample)
        return writer.finish()


@pytest.mark.parametrize("upto", range(len(SAMPLES) + 1))
def test_a_continued_field_equals_an_uninterrupted_one(tmp_path, upto):
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    finish(FieldWriter(tmp_path / "whole", "x", FIELD), SAMPLES)
    mark = write(tmp_path / "cut", upto)
    for name in ("x.npy", "x.ends"):  # what was written after the mark
        with (tmp_path / "cut" / name).open("ab") as file:
            file.write(b"half a sample")
    parts = finish(FieldWriter(tmp_path / "cut", "x", FIELD, mark), SAMPLES[upto:])
    for name in ("x.npy", "x.offsets.npy"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert np.load(tmp_path / "cut/x.offsets.npy").tolist() == [0, 3, 3, 5, 10, 11]
    for name, part in parts.items():
        array = np.load(part.path)
        assert part.path.read_bytes()[part.start :] == array.tobytes(), name
        assert part.size == array.nbytes


@pytest.mark.parametrize("name", ["x.npy", "x.ends"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "absent"])
def test_files_that_are_not_what_was_marked_are_refused(tmp_path, name, damage):
    mark, path = write(tmp_path), tmp_path / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    if damage == "flipped":
        path.write_bytes(data)
    elif damage == "cut":
        os.truncate(path, len(data) - 1)
    else:
        path.unlink()
    with pytest.raises((ValueError, FileNotFoundError)):
        FieldWriter(tmp_path, "x", FIELD, mark)
