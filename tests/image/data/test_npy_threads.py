"""Values of .npy pictures are read alike in any order of axes, and by several threads at a time."""

from __future__ import annotations

import io
import time
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


def test_one_thread_at_a_time_parses_a_header(monkeypatch):
    """Python 3.11 now and then raises a SystemError where several threads parse."""
    inside, most, parse = [], [], np.lib.format.read_array_header_1_0

    def slow(stream):
        inside.append(None)
        most.append(len(inside))
        time.sleep(0.002)
        inside.pop()
        return parse(stream)

    monkeypatch.setattr(np.lib.format, "read_array_header_1_0", slow)
    files = [saved(np.full((2, 3, 1), i, np.uint8)) for i in range(32)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda file: npy_values(io.BytesIO(file), None), files))
    assert [int(values.max()) for values in found] == list(range(32))
    assert max(most) == 1
