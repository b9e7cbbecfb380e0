"""Values of .npy pictures are read alike in any order of axes, and by several threads at a time."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from polygan_image.data.values.reading import npy_values


def saved(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def test_an_array_whose_first_axis_is_the_fastest_is_read_alike():
    values = np.arange(60, dtype=np.uint16).reshape(4, 5, 3)
    for order in "CF":
        found = npy_values(io.BytesIO(saved(np.asarray(values, order=order))), None)
        assert np.array_equal(found, values)
        assert found.flags.writeable


def test_threads_read_many_files():
    files = [saved(np.full((2, 3, 1), i, np.uint8)) for i in range(64)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda file: npy_values(io.BytesIO(file), None), files))
    assert [int(values.max()) for values in found] == list(range(64))
