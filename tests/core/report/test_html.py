"""Words, tables and pictures as HTML."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from matplotlib.image import imread

from polygan.report.html import finite, shrunk


def make_png(pixels):
    """A PNG of uint8 pixels (H, W) or (H, W, 3)."""
    height, width = pixels.shape[:2]

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_shrunk_picture_is_the_mean_of_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (400, 500), np.uint8)
    small = imread(BytesIO(shrunk(make_png(pixels), limit=250)), "png")[..., 0]
    expected = pixels.reshape(200, 2, 250, 2).mean((1, 3)) / 255
    assert small.shape == (200, 250)
    assert np.abs(small - expected).max() < 1 / 255
    assert shrunk(b"\x89PNG\r\n\x1a\n" + bytes(100_000)) == b"\x89PNG\r\n\x1a\n" + bytes(100_000)


def test_a_number_that_no_float_holds_is_none_to_show():
    """JSON knows whole numbers of any length; one in a log must not end the report."""
    assert finite(10**400, -1.0) == finite(float("nan"), -1.0) == finite("7", -1.0) == -1.0
    assert finite(7) == 7.0
