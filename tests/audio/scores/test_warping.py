"""Alignment of two sequences against a recursion and against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from polygan_audio.scores.warping import warped


def by_recursion(distances):
    """Sum and cells of the best path, cell by cell; of equal sums the diagonal step, then the step of a row."""
    best = {}
    for i in range(distances.shape[0]):
        for j in range(distances.shape[1]):
            before = [best[key] for key in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if key in best] or [(0.0, 0)]
            total, cells = min(before, key=lambda found: found[0])
            best[i, j] = total + distances[i, j], cells + 1
    total, cells = best[distances.shape[0] - 1, distances.shape[1] - 1]
    return total / cells


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (6, 1), (7, 7), (4, 9), (9, 4)])
def test_paths_are_those_of_the_recursion(shape):
    distances = np.random.default_rng(0).uniform(size=shape)
    assert warped(distances) == pytest.approx(by_recursion(distances), rel=1e-12)


def test_equal_sequences_and_repeated_frames_are_zero_apart():
    frames = np.random.default_rng(1).normal(size=(20, 3))
    slow = frames.repeat(2, axis=0)
    assert warped(np.abs(frames[:, None] - frames[None]).sum(-1)) == 0
    assert warped(np.abs(frames[:, None] - slow[None]).sum(-1)) == 0


def test_a_path_worked_out_by_hand():
    """0 1 2 beside 0 2: the path is (0, 0), (1, 0) or (1, 1), (2, 1), with one distance of 1 over three cells."""
    assert warped(np.array([[0.0, 2], [1, 1], [2, 0]])) == pytest.approx(1 / 3)


def test_a_sequence_without_frames_has_no_distance():
    assert np.isnan(warped(np.zeros((0, 3))))
    assert np.isnan(warped(np.zeros((3, 0))))
