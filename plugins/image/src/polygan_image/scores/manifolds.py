"""Quality and variety by neighbours: precision and recall, density and coverage of features (n, d)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_ROWS = 500  # rows whose distances are in memory at once


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Shares in [0, 1] of ``fake`` (m, d) in the manifold of ``real`` (n, d), and of ``real`` in the manifold of ``fake``; n, m > k.

    A manifold is the union of spheres about its points, each up to the point's k-th neighbour: Kynkaanniemi et al. 2019
    (arXiv:1904.06991), eq. 1 and 2.
    """
    return _inside(fake, real, k), _inside(real, fake, k)


def density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> tuple[float, float]:
    """Density (0 or more) and coverage in [0, 1] of ``fake`` (m, d) about ``real`` (n, d), n > k, m >= 1.

    A sphere about each real point ends at the k-th neighbour of this point. Density is the number of spheres that hold a fake,
    mean over the fakes, divided by k; about 1 for real samples. Coverage is the share of spheres that hold a fake. Naeem et al.
    2020, "Reliable Fidelity and Diversity Metrics for Generative Models" (arXiv:2002.09797), eq. 3 and 4, k = 5 as there.
    """
    around, covered = radii(real, k), torch.zeros(len(real), dtype=torch.bool)
    found = 0
    for gaps in _distances(fake, real):
        within = gaps <= around
        found += int(within.sum())
        covered |= within.any(0)
    return found / (k * len(fake)), float(covered.double().mean())


def radii(points: Tensor, k: int) -> Tensor:
    """(n,) the distance of each point (n, d) to its k-th nearest other point."""
    return torch.cat([gaps.kthvalue(k + 1, 1).values for gaps in _distances(points, points)])


def _inside(points: Tensor, manifold: Tensor, k: int) -> float:
    around = radii(manifold, k)
    found = sum(int((gaps <= around).any(1).sum()) for gaps in _distances(points, manifold))
    return found / len(points)


def _distances(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """(rows, m) the distances of points (n, d) to all points (m, d), some rows at a time."""
    exact = "donot_use_mm_for_euclid_dist"  # a radius must equal its distance exactly
    return (torch.cdist(rows, b, compute_mode=exact) for rows in a.split(_ROWS))
