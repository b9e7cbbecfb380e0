"""Patches compared by contrast: the loss by its equation, random places, projections."""

from __future__ import annotations

import math

import pytest
import torch

from polygan.seeding import Noise
from polygan_image.translation.contrast import Projection, gathered, patch_nce, positions


def test_the_loss_is_the_papers_equation():
    q, k = (torch.nn.functional.normalize(torch.randn(2, 5, 3, dtype=torch.float64), dim=2) for _ in "qk")
    total = 0.0
    for n in range(2):
        for s in range(5):
            scores = [math.exp(float(q[n, s] @ k[n, other]) / 0.07) for other in range(5)]
            total -= math.log(scores[s] / sum(scores))
    assert abs(float(patch_nce(q, k)) - total / 10) < 1e-10


def test_keys_get_no_gradient():
    q, k = (torch.randn(1, 4, 3, requires_grad=True) for _ in "qk")
    patch_nce(q, k).backward()
    assert q.grad is not None
    assert k.grad is None


def test_equal_patches_cost_the_logarithm_of_their_number():
    same = torch.ones(2, 8, 1)
    assert float(patch_nce(same, same)) == pytest.approx(math.log(8), abs=1e-6)


def test_places_are_drawn_once_each_and_anew_for_each_picture_and_map():
    maps = [torch.zeros(3, 2, 6, 7), torch.zeros(3, 5, 6, 7), torch.zeros(3, 4, 2, 2)]
    first, second, small = positions(Noise().reset(1), maps, 20)
    assert first.shape == second.shape == (3, 20)
    assert small.shape == (3, 4)  # all there are
    for place, size in ((first, 42), (second, 42), (small, 4)):
        assert all(len(set(row.tolist())) == len(row) for row in place)
        assert int(place.min()) >= 0
        assert int(place.max()) < size
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    assert torch.equal(first, positions(Noise().reset(1), maps, 20)[0])


def test_gathered_vectors_are_those_of_the_places():
    x = torch.randn(2, 3, 4, 5)
    place = torch.tensor([[0, 7], [19, 4]])
    (found,) = gathered([x], [place])
    assert torch.equal(found[0, 1], x[0, :, 1, 2])
    assert torch.equal(found[1, 0], x[1, :, 3, 4])


def test_projections_have_length_1():
    made = Projection([3, 5], 32)([torch.randn(2, 6, 3), torch.randn(2, 7, 5)])
    assert [tuple(m.shape) for m in made] == [(2, 6, 32), (2, 7, 32)]
    assert all(torch.allclose(m.norm(dim=2), torch.ones(m.shape[:2]), atol=1e-5) for m in made)
