"""Directions along which samples change most: those of a linear network, in their order; classes do not count."""

from __future__ import annotations

import numpy as np
import pytest
from little_graphs import latents

from polygan_web.directions import COUNT, directions, features
from polygan_web.graphs import latents_of, read


def test_the_directions_of_a_linear_network_are_found_in_their_order(tmp_path):
    rng = np.random.default_rng(3)
    size, shape = 12, (1, 8, 8)
    turned = np.linalg.qr(rng.standard_normal((size, size)))[0]
    pictures = np.linalg.qr(rng.standard_normal((64, size)))[0].T
    strengths = np.array([0.4, 0.2, 0.1, *[0.002] * (size - 3)])
    matrix = (turned * strengths @ pictures).astype(np.float32)
    found = latents_of(read([latents(tmp_path / "g.onnx", matrix, shape, classes=["a", "b", "c"])]))
    assert found is not None
    ours = directions(found)
    assert ours.shape == (COUNT, size)
    np.testing.assert_allclose(ours @ ours.T, np.eye(COUNT), atol=1e-5)
    for k in range(3):
        assert abs(float(ours[k] @ turned[:, k])) > 0.9
    np.testing.assert_array_equal(ours, directions(found))


def test_fewer_latents_have_fewer_directions(tmp_path):
    matrix = np.ones((2, 48), np.float32) * np.array([[1], [0.5]], np.float32)
    found = latents_of(read([latents(tmp_path / "g.onnx", matrix, (3, 4, 4))]))
    assert found is not None
    assert directions(found).shape == (2, 2)


@pytest.mark.parametrize(
    ("shape", "count"),
    [((2, 3, 64, 96), 3 * 32 * 32), ((2, 1, 5, 7), 35), ((2, 1024), 4 * 129), ((2, 1, 512), 2 * 129)],
)
def test_large_pictures_are_compared_small_and_sounds_by_their_spectra(shape, count):
    assert features(np.zeros(shape, np.float32)).shape == (2, count)


def test_a_small_picture_is_the_mean_of_its_pixels():
    picture = np.zeros((1, 1, 64, 64), np.float32)
    picture[0, 0, 0, 1] = 4
    assert features(picture)[0, 0] == 1
    assert features(picture)[0, 1:].max() == 0
