"""Directions of latents, against networks whose answer is known."""

from __future__ import annotations

import pytest
import torch

from polygan_demo.directions import principal_components, principal_directions, slerp


def linear(d, f, seed=0):
    """A matrix (f, d) with known singular vectors (d, d) and values."""
    generator = torch.Generator().manual_seed(seed)
    v = torch.linalg.qr(torch.randn(d, d, generator=generator))[0]
    u = torch.linalg.qr(torch.randn(f, d, generator=generator))[0]
    s = torch.tensor([8.0 / 2**k for k in range(d)])
    return u @ torch.diag(s) @ v.T, v, s


def test_the_directions_of_a_linear_map_are_its_right_singular_vectors():
    matrix, v, s = linear(6, 20)
    bases = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    found = principal_directions(lambda z, _: z @ matrix.T, bases, most=4)
    assert found is not None
    assert found.vectors.shape == (4, 6)
    assert torch.allclose((found.vectors @ v[:, :4]).abs(), torch.eye(4), atol=1e-3)
    assert found.shares.tolist() == pytest.approx((s**2 / (s**2).sum())[:4].tolist(), rel=1e-3)


def test_the_same_call_gives_the_same_signs():
    matrix, _, _ = linear(5, 9, seed=3)
    bases = torch.zeros(2, 5)
    first, flipped = (principal_directions(lambda z, _, m=m: z @ m.T, bases) for m in (matrix, -matrix))
    assert torch.allclose(first.vectors, flipped.vectors, atol=1e-4)
    assert (first.vectors.gather(1, first.vectors.abs().argmax(1, keepdim=True)) > 0).all()


def test_long_latents_are_tried_along_random_directions_and_have_no_shares():
    generator = torch.Generator().manual_seed(0)
    strong = torch.nn.functional.normalize(torch.randn(300, generator=generator), dim=0)
    seen = []

    def features(z, number):
        seen.append((len(z), number))
        return (z @ strong)[:, None] * 10 + 0.01 * z[:, :1]

    found = principal_directions(features, torch.randn(12, 300, generator=generator), most=1)
    assert seen == [(129, number) for number in range(12)]
    assert found.shares is None
    assert (found.vectors[0] @ strong).abs() > 0.9


def test_nothing_to_find_is_none():
    bases = torch.zeros(2, 4)
    assert principal_directions(lambda z, _: torch.ones(len(z), 3), bases) is None
    assert principal_directions(lambda z, _: torch.full((len(z), 3), torch.nan), bases) is None


def test_bases_after_the_time_are_left_out():
    calls = []
    principal_directions(lambda z, number: calls.append(number) or z, torch.randn(5, 3), seconds=-1)
    assert calls == [0]


def test_slerp_keeps_the_norm_and_meets_both_ends():
    a, b = torch.tensor([3.0, 0.0, 0.0]), torch.tensor([0.0, 3.0, 0.0])
    way = slerp(a, b, torch.tensor([0.0, 0.25, 1.0]))
    assert torch.allclose(way.norm(dim=1), torch.full((3,), 3.0), atol=1e-5)
    assert torch.allclose(way[[0, 2]], torch.stack([a, b]), atol=1e-6)
    assert torch.allclose(slerp(a, 2 * a, torch.tensor([0.5])), 1.5 * a[None])


def test_principal_components_are_those_within_the_groups():
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(6, 6, generator=generator))[0]
    deviations = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.01, 0.0])
    groups = [
        (deviations * torch.randn(4000, 6, generator=generator)) @ axes.T + 100 * axes[:, 5] * number
        for number in range(3)
    ]
    found = principal_components(groups)
    assert found.vectors.shape == (4, 6)  # two are faint, and the way from group to group is none
    assert torch.allclose((found.vectors @ axes[:, :4]).abs(), torch.eye(4), atol=0.05)
    assert found.deviations.tolist() == pytest.approx([4, 2, 1, 0.5], rel=0.05)
    assert found.shares.tolist() == pytest.approx([16 / 21.25, 4 / 21.25, 1 / 21.25, 0.25 / 21.25], rel=0.1)
    assert torch.allclose(found.move(torch.tensor([0.0, 3.0])), 3 * found.deviations[1] * found.vectors[1])
    assert principal_components(groups, most=1).vectors.shape == (1, 6)


def test_points_that_do_not_differ_have_no_components():
    assert principal_components([torch.ones(5, 3), torch.zeros(2, 3)]) is None
    assert principal_components([torch.full((4, 3), torch.nan)]) is None
