"""The best alignment against a look at all of them."""

from __future__ import annotations

import itertools

import pytest
import torch

from polygan_speech.aligning.paths import best_paths, spread


def best_of_all(log_p):
    frames, tokens = log_p.shape
    ways = [[0, *itertools.accumulate(steps)] for steps in itertools.product((0, 1), repeat=frames - 1)]
    ways = [way for way in ways if way[-1] == tokens - 1]
    return max(ways, key=lambda way: sum(log_p[t, s].item() for t, s in enumerate(way)))


@pytest.mark.parametrize("seed", range(3))
def test_paths_are_the_best_of_all(seed):
    log_p = torch.randn(5, 8, 4, generator=torch.Generator().manual_seed(seed)).log_softmax(2)
    frames, tokens = torch.tensor([8, 6, 4, 8, 1]), torch.tensor([4, 3, 4, 1, 1])
    found = best_paths(log_p, frames, tokens)
    for b in range(5):
        f, s = int(frames[b]), int(tokens[b])
        assert found[b, :f].tolist() == best_of_all(log_p[b, :f, :s])
        assert (found[b, f:] == s - 1).all()


def test_a_clip_that_is_too_short_gets_symbols_that_there_are():
    found = best_paths(torch.zeros(2, 3, 5), torch.tensor([3, 0]), torch.tensor([5, 0]))
    assert found.min() >= 0
    assert found.max() <= 4


def test_spread_gives_durations():
    path = torch.tensor([[0, 0, 1, 2, 2], [0, 1, 1, 1, 1]])
    said = spread(path, torch.tensor([5, 3]), 4)
    assert said.sum(1).tolist() == [[2, 1, 2, 0], [1, 2, 0, 0]]
    assert not said[1, 3:].any()


def test_the_meta_device_gets_a_shape():
    lengths = torch.zeros(2, dtype=torch.int64, device="meta")
    assert best_paths(torch.empty(2, 5, 3, device="meta"), lengths, lengths).shape == (2, 5)
