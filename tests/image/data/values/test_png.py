"""PNG files written band by band hold the pixels, as Pillow reads them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from polygan_image.data.values import png


def back(path):
    with Image.open(path) as picture:
        picture.load()
        return picture.mode, np.asarray(picture)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 20),
    st.sampled_from([1, 3, 4]),
    st.integers(1, 12),
    st.booleans(),
    st.integers(0, 99),
)
def test_every_picture_comes_back(tmp_path_factory, height, width, channels, rows, smooth, seed):
    path = tmp_path_factory.mktemp("png") / "a.png"
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    if smooth:
        values = np.cumsum(values % 3, 0, dtype=np.uint8)
    png.write((values[i : i + rows] for i in range(0, height, rows)), path, height)
    mode, found = back(path)
    assert mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    assert np.array_equal(found.reshape(values.shape), values)


def test_deep_grey_comes_back(tmp_path):
    values = np.random.default_rng(0).integers(0, 2**16, (33, 21, 1), dtype=np.uint16)
    png.write(iter([values[:20], values[20:]]), tmp_path / "a.png", 33)
    mode, found = back(tmp_path / "a.png")
    assert mode.startswith("I;16")
    assert np.array_equal(found, values[..., 0])


def test_many_chunks_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr(png, "_CHUNK", 100)
    values = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    png.write(np.array_split(values, 8), tmp_path / "a.png", 256)
    assert (tmp_path / "a.png").read_bytes().count(b"IDAT") > 2
    assert np.array_equal(back(tmp_path / "a.png")[1], values)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_better_filter_is_chosen(tmp_path, axis):
    noise = np.random.default_rng(0).integers(0, 256, (1, 256, 1), dtype=np.uint8).repeat(256, 0)
    values = noise if axis else noise.transpose(1, 0, 2)  # equal rows, or equal columns
    png.write([values], tmp_path / "a.png", 256)
    assert (tmp_path / "a.png").stat().st_size < values.size / 40
    assert np.array_equal(back(tmp_path / "a.png")[1], values[..., 0])
