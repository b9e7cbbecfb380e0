"""Checksums of the bytes of arrays: each byte counts, blocks and headers do not."""

from __future__ import annotations

import numpy as np
import pytest

from polygan.data.cache import sums
from polygan.data.cache.sums import Part, sums_of


def total(path, start, size):
    return sums_of({"a": Part(path, start, size)})["a"]


@pytest.mark.parametrize("block", [1000, 2500])
def test_every_byte_counts(tmp_path, monkeypatch, block):
    monkeypatch.setattr(sums, "_BLOCK", block)
    path = tmp_path / "a"
    data = bytearray(np.random.default_rng(0).bytes(5001))
    path.write_bytes(data)
    before = total(path, 1, 5000)
    for place in (1, 999, 1000, 1001, 2500, 4999, 5000):
        data[place] ^= 1
        path.write_bytes(data)
        assert total(path, 1, 5000) != before, place
        data[place] ^= 1
    data[0] ^= 1  # before the part
    path.write_bytes(data + b"more")
    assert total(path, 1, 5000) == before


def test_an_empty_part_and_a_short_file_have_sums_of_their_own(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"")
    assert total(path, 0, 0) != total(path, 0, 10)
