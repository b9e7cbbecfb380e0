"""Scores against direct computations, and whole evaluations of a toy source with generators of known faults."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg
import torch

sys.path.insert(0, str(Path(__file__).parent))
from bars import CLASSES, DOMAIN, float_bars, good, shuffled

from polygan import DataError, Samples
from polygan_image.scores import metrics


def unlabelled(n, seed):
    return replace(good(n, seed), labels=None)


def collapsed(n, seed):
    """The right class, but always the same picture of it."""
    labels = np.arange(n) % CLASSES
    return Samples(float_bars(range(CLASSES), 7)[labels], DOMAIN, torch.from_numpy(labels))


def noisy(n, seed):
    labels = np.arange(n) % CLASSES
    return Samples(float_bars(labels, seed, noise=110), DOMAIN, torch.from_numpy(labels))


def scores(metric, evaluation):
    return {s.name: s for s in metric(evaluation)}


# The numbers themselves


def gaussians(n, d, seed, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ (rng.normal(size=(d, d)) * scale) + shift


def test_frechet_distance_against_float64_matrix_roots():
    a, b = gaussians(300, 12, 0), gaussians(200, 12, 1, shift=0.5)
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(ca @ cb).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(ca + cb - 2 * root)
    got = metrics.frechet_distance(torch.from_numpy(a).float(), torch.from_numpy(b).float())
    assert got == pytest.approx(expected, rel=1e-5)
    assert metrics.frechet_distance(torch.from_numpy(a), torch.from_numpy(a)) == pytest.approx(0, abs=1e-8)


def test_frechet_distance_of_known_gaussians():
    """Exact moments by construction: N(0, I) and N(m, s^2 I) are |m|^2 + d (1 - s)^2 apart."""
    d, m, s = 5, 2.0, 3.0
    x = np.concatenate([np.eye(d), -np.eye(d)]) * np.sqrt((2 * d - 1) / 2)  # covariance I, mean 0
    assert np.allclose(np.cov(x, rowvar=False), np.eye(d))
    got = metrics.frechet_distance(torch.from_numpy(x), torch.from_numpy(s * x + m))
    assert got == pytest.approx(d * m**2 + d * (1 - s) ** 2)


def test_frechet_distance_of_fewer_samples_than_features():
    a, b = (torch.from_numpy(gaussians(20, 64, s)) for s in (0, 1))
    assert np.isfinite(metrics.frechet_distance(a, b))


def test_kernel_distance_against_the_unbiased_formula():
    a, b = gaussians(60, 8, 0, scale=0.3), gaussians(60, 8, 1, shift=0.3, scale=0.3)

    def kernel(x, y):
        return (x @ y.T / 8 + 1) ** 3

    within = sum((kernel(x, x).sum() - np.trace(kernel(x, x))) / (60 * 59) for x in (a, b))
    expected = within - 2 * kernel(a, b).mean()
    got = metrics.kernel_distance(torch.from_numpy(a), torch.from_numpy(b), 60, subsets=2)
    assert got == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_leaves_the_random_state_alone():
    a = torch.randn(50, 4)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    first = metrics.kernel_distance(a, a + 1, 20)
    assert torch.equal(torch.rand(4), expected)
    assert metrics.kernel_distance(a, a + 1, 20) == first


@pytest.mark.parametrize("n", [2, 37, 1100])
def test_spread_is_the_mean_over_pairs(n):
    x = torch.randn(n, 6)
    assert metrics.spread(x) == pytest.approx(float(torch.pdist(x).mean()), rel=1e-5)
    assert metrics.spread(x[:1].expand(n, 6)) == 0


def test_duplicates_are_counted_once_each():
    x = DOMAIN.features(Samples(torch.rand(1200, 1, 16, 16) * 2 - 1, DOMAIN))
    assert metrics.duplicates(x) == 0
    x[700:710] = x[5]  # ten repeat one, across the pieces that are compared
    x[1199] = x[1198] + 0.5 * 2 / 255 / 16  # half a grey level in each of 256 pixels
    x[3] = x[2] + 2 * 2 / 255 / 16  # two grey levels: another picture
    assert metrics.duplicates(x) == pytest.approx(11 / 1200)
    assert metrics.duplicates(x[:1].expand(1200, 256)) == pytest.approx(1199 / 1200)


# Whole evaluations


def test_good_samples_score_near_the_floor(evaluate):
    evaluation = evaluate(good)
    (frechet,) = metrics.frechet(evaluation)
    assert frechet.floor is not None
    assert 0 < frechet.value < 2 * frechet.floor
    assert "2 x 90 generated, floor 1 x 90 held-out, each against 270 training pictures" in frechet.note
    assert "classifier of this source" in frechet.note
    assert "lanczos" in frechet.note
    (kid,) = metrics.kid(evaluation)
    assert abs(kid.value) < 0.05
    (recognised,) = metrics.recognised(evaluation)
    assert recognised.value > 0.97
    assert recognised.floor is not None
    assert recognised.floor > 0.97
    assert recognised.better == "higher"
    found = scores(metrics.diversity, evaluation)
    assert set(found) == {"image/diversity", "image/diversity-worst-class"}
    assert found["image/diversity"].value == pytest.approx(1, abs=0.1)
    assert found["image/diversity"].floor == pytest.approx(1, abs=0.1)
    assert found["image/diversity-worst-class"].value <= found["image/diversity"].value
    (repeats,) = metrics.repeated(evaluation)
    assert (repeats.name, repeats.value, repeats.floor) == ("image/duplicates", 0, 0)


def test_collapse_is_seen_though_every_sample_is_recognised(evaluate):
    evaluation = evaluate(collapsed)
    assert metrics.recognised(evaluation)[0].value == 1
    found = scores(metrics.diversity, evaluation)
    assert found["image/diversity"].value < 0.01
    assert metrics.repeated(evaluation)[0].value == pytest.approx(1 - CLASSES / 180)
    (frechet,) = metrics.frechet(evaluation)
    assert frechet.value > 1.5 * frechet.floor


def test_the_wrong_class_is_not_recognised(evaluate):
    assert metrics.recognised(evaluate(shuffled))[0].value < 0.03
    assert metrics.frechet(evaluate(shuffled))[0].value < 2 * metrics.frechet(evaluate(good))[0].floor


def test_distances_grow_with_noise(evaluate):
    for metric in (metrics.frechet, metrics.kid):
        assert metric(evaluate(noisy))[0].value > 3 * max(metric(evaluate(good))[0].value, 0.001)


def test_a_diverged_network_gets_a_bad_score(evaluate):
    def broken(n, seed):
        samples = good(n, seed)
        samples.data[:] = float("nan")
        return samples

    (frechet,) = metrics.frechet(evaluate(broken))
    assert frechet.value > 5 * frechet.floor
    assert "180 generated pictures had NaN or infinite pixels" in frechet.note
    (repeats,) = metrics.repeated(evaluate(broken))
    assert repeats.value > 0.98
    assert "180 generated pictures had NaN" in repeats.note


def test_samples_without_labels_are_sorted_by_the_classifier(evaluate):
    found = scores(metrics.diversity, evaluate(unlabelled))
    assert found["image/diversity"].value == pytest.approx(1, abs=0.1)
    assert "sorted into classes by the classifier" in found["image/diversity"].note

    def lacking(n, seed):  # classes 0 and 1 only
        return Samples(float_bars(np.arange(n) % 2, seed), DOMAIN)

    found = scores(metrics.diversity, evaluate(lacking))
    assert found["image/diversity-worst-class"].value < 0.7
    with pytest.raises(DataError, match="unconditional"):
        metrics.recognised(evaluate(unlabelled))


def test_what_scores_need(evaluate, splits):
    store = SimpleNamespace(fields={"image": None}, info={"classes": []}, key="x")
    bare = SimpleNamespace(store=store, rows=np.arange(9))
    evaluation = replace(evaluate(good), train=bare, info={"classes": []})
    for metric, name in ((metrics.recognised, ""), (metrics.frechet, "classifier"), (metrics.kid, "classifier")):
        with pytest.raises(DataError, match=r"needs labels.*--data\.labels folders"):
            metric(replace(evaluation, features=name))
    with pytest.raises(DataError, match=r"0 held out \(data\.held_out\)"):
        metrics.frechet(
            replace(evaluate(good), held_out=type(splits["train"])(splits["train"].store, np.arange(0), ""))
        )
    with pytest.raises(DataError, match="1 to generate"):
        metrics.frechet(evaluate(good, samples=1))
    with pytest.raises(DataError, match=r"3 generated .* too few"):
        metrics.diversity(evaluate(good, samples=3))
