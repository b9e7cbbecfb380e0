"""What counts as the same sound."""

from __future__ import annotations

import math

import pytest
import torch

from polygan import CheckpointError
from polygan_audio.formats import comparison


def sound(generator, mel):
    with torch.no_grad():
        return generator(mel)


def test_after_iterations_the_mean_difference_counts(tmp_path):
    sound = torch.randn(2, 5000)
    spike = sound.clone()
    spike[0, 7] += 0.1
    comparison.agree(sound, spike, tmp_path, iterations=32)
    for other, iterations in ((spike, 0), (1.02 * sound, 32), (sound.roll(1), 32), (sound * math.nan, 32)):
        with pytest.raises(CheckpointError, match="its source: samples differ by"):
            comparison.agree(sound, other, tmp_path, iterations=iterations)
    with pytest.raises(CheckpointError, match=r"samples have the shape \[2, 4999\] in place of \[2, 5000\]"):
        comparison.agree(sound, sound[:, 1:], tmp_path)


def test_differences_are_judged_beside_the_loudness(tmp_path):
    comparison.agree(torch.tensor([50.0]), torch.tensor([50.0001]), tmp_path)
    for theirs in (0.5001, float("nan")):
        with pytest.raises(CheckpointError, match="its source: samples differ by"):
            comparison.agree(torch.tensor([0.5]), torch.tensor([theirs]), tmp_path)
