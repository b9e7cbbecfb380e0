"""Distances of all pictures stand beside those of trivial answers: copies, and copies in the colours of the other side."""

from __future__ import annotations

import re

import pytest
import torch
from scenes import DOMAIN, Started, by, evaluation, truth_of

from polygan_image.scores import self_supervised, trained
from polygan_image.scores.metrics import frechet, kid
from polygan_image.scores.pairs.distributions import COPY, MATCHED, matched


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The run's own network without training: its first weights tell pictures apart as well."""
    monkeypatch.setattr(trained.self_supervised, "train", lambda e: self_supervised.blank(e.info))


def value_in(note, name):
    return float(re.search(rf"; {name} (\S+?)(;|$)", note)[1])


def spread(x):
    columns = x.double().transpose(0, 1).flatten(1)
    return columns.mean(1), torch.atleast_2d(columns.cov(correction=0))


@pytest.mark.parametrize("channels", [1, 3])
def test_matched_pictures_have_the_mean_and_covariance_of_the_others(channels):
    draw = torch.Generator().manual_seed(0)
    mix = torch.randn(channels, channels, generator=draw) * 0.1
    a = torch.randn(4, channels, 6, 5, generator=draw) * 0.1 + 0.2
    b = torch.einsum("ij,njhw->nihw", mix, torch.randn(3, channels, 8, 8, generator=draw)) - 0.3
    got = matched(a, b)
    for x, y in zip(spread(got), spread(b), strict=True):
        torch.testing.assert_close(x, y, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(matched(a, a), a, atol=1e-5, rtol=1e-4)


def test_a_channel_that_never_changes_becomes_the_mean_of_the_others():
    flat = torch.full((2, 3, 4, 4), 0.5)
    found = matched(flat, torch.rand(2, 3, 4, 4))
    assert found.isfinite().all()
    assert float(found.std((0, 2, 3)).max()) < 1e-5


@pytest.mark.parametrize("metric", [frechet, kid])
def test_paired_pictures_stand_beside_the_grey_copy_and_the_start(metric, grey, tmp_path):
    truth = truth_of(grey)
    copy = lambda given: given.expand(-1, 3, -1, -1)  # noqa: E731
    (right,) = metric(evaluation(grey, lambda given: truth, cache=tmp_path, recipe=Started, start=copy))
    assert right.value == pytest.approx(right.floor, rel=1e-4, abs=1e-6)
    assert right.baseline[1] == "median colour by lightness"
    (copied,) = metric(evaluation(grey, copy, cache=tmp_path))
    assert right.value < copied.value
    # Trivial answers are measured by the same rule, rounded to the levels of files.
    assert value_in(copied.note, "grey copy") == pytest.approx(copied.value, rel=0.01)
    assert value_in(right.note, "start") == pytest.approx(copied.value, rel=0.01)


def test_two_sides_stand_beside_the_copy_and_the_colours_of_the_other_side(sides, tmp_path):
    made = sides(lambda given: given, cache=tmp_path)
    found = by(frechet(made)) | by(kid(made))
    for name in ("image/frechet", "image/kid"):
        score = found[name]
        assert score.baseline[1] == MATCHED
        assert f"{COPY} {score.value:.4g}" in score.note
        assert score.baseline[0] < score.value


def test_pictures_from_noise_have_no_trivial_answer(grey, tmp_path):
    made = evaluation(grey, lambda given: given, cache=tmp_path)
    made.recipe.given = None
    made.generate = lambda n, seed, options=None, **other: DOMAIN.real(grey["train"], grey["train"].rows[:n])
    (score,) = frechet(made)
    assert score.baseline is None
