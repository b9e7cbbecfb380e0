"""Precision and recall, density and coverage: against the definitions, vectors computed by hand, and known faults."""

from dataclasses import replace

import pytest
import torch

from polygan import DataError
from polygan_image.scores import metrics
from polygan_image.scores.manifolds import density_coverage, precision_recall, radii


def naive(points, manifold, k):
    inside = 0
    for p in points:
        for i, m in enumerate(manifold):
            others = sorted(float((m - o).norm()) for j, o in enumerate(manifold) if j != i)
            if float((p - m).norm()) <= others[k - 1]:
                inside += 1
                break
    return inside / len(points)


def test_precision_and_recall_against_the_definition():
    real, fake = torch.randn(40, 3).double(), 0.7 * torch.randn(30, 3).double() + 0.5
    precision, recall = precision_recall(real, fake)
    assert precision == pytest.approx(naive(fake, real, 3))
    assert recall == pytest.approx(naive(real, fake, 3))
    assert 0 < recall < precision <= 1


def test_precision_is_quality_and_recall_variety():
    real = torch.randn(600, 4)
    assert precision_recall(real, real) == (1, 1)
    precision, recall = precision_recall(real, real[:1] + 1e-3 * torch.randn(600, 4))
    assert precision == 1
    assert recall < 0.02
    precision, recall = precision_recall(real, torch.cat([real[:300], real[:300] + 100]))
    assert precision == 0.5
    assert precision_recall(real, real + 100) == (0, 0)


def test_its_scores_have_floors_and_say_what_they_are_of(evaluation):
    precision, recall = metrics.manifolds(evaluation)
    assert (precision.name, recall.name) == ("image/precision", "image/recall")
    assert (precision.better, recall.better) == ("higher", "higher")
    assert precision.floor > 0.5  # held-out noise is like the noise for training
    for words in ("24 generated, floor 24 held-out, against 24 training", "pool.pt (sha256 ", "8x8 lanczos"):
        assert words in precision.note
    with pytest.raises(DataError, match=r"needs 4 pictures .*36 for training, 24 held out .* and 3 generated"):
        metrics.manifolds(replace(evaluation, samples=3))


def test_density_and_coverage_of_points_computed_by_hand():
    real = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert radii(real, 1).tolist() == [1, 1, 2, 4]
    # 0.5 lies in the spheres of 0 and 1, 4 in those of 3 and 7, 20 in none.
    density, coverage = density_coverage(real, torch.tensor([[0.5], [4.0], [20.0]]), 1)
    assert density == pytest.approx(4 / 3)
    assert coverage == 1
    assert density_coverage(real, torch.tensor([[0.5], [20.0]]), 1) == (1, 0.5)
    assert density_coverage(real, torch.tensor([[20.0]]), 1) == (0, 0)
    assert density_coverage(real, torch.tensor([[0.5]]), 2) == (1.5, 0.75)  # radii 3, 2, 3, 6: in 0, 1 and 3


def test_density_and_coverage_against_the_definition():
    real, fake = torch.randn(40, 3).double(), 0.7 * torch.randn(30, 3).double() + 0.5
    within = [[float((y - x).norm()) <= sorted(float((x - o).norm()) for o in real)[5] for x in real] for y in fake]
    density, coverage = density_coverage(real, fake)
    assert density == pytest.approx(sum(map(sum, within)) / (5 * 30))
    assert coverage == pytest.approx(sum(any(column) for column in zip(*within, strict=True)) / 40)
    assert 0 < coverage < 1


def test_density_ignores_an_outlier_that_precision_rewards_and_coverage_sees_what_is_missing():
    """The example of Naeem et al. 2020, figure 3: fakes about one real outlier get a precision of 1."""
    g = torch.Generator().manual_seed(0)
    real = torch.cat([torch.randn(500, 4, generator=g), torch.full((1, 4), 8.0)])
    fakes = 8 + torch.randn(500, 4, generator=g)
    assert precision_recall(real, fakes)[0] == 1
    density, coverage = density_coverage(real, fakes)
    assert density < 0.25
    assert coverage < 0.01
    density, coverage = density_coverage(real, torch.randn(500, 4, generator=g))
    assert density == pytest.approx(1, abs=0.1)
    assert coverage > 0.9


def test_density_and_coverage_have_floors_and_say_what_they_are_of(evaluation):
    density, coverage = metrics.density_and_coverage(evaluation)
    assert (density.name, coverage.name) == ("image/density", "image/coverage")
    assert (density.better, coverage.better) == ("higher", "higher")
    assert coverage.floor > 0.5
    assert "24 generated, floor 24 held-out, against 24 training pictures, 5 neighbours" in density.note
    with pytest.raises(DataError, match=r"image/density-coverage needs 6 pictures .* and 5 generated"):
        metrics.density_and_coverage(replace(evaluation, samples=5))
