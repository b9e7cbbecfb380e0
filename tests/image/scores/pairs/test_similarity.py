"""Peak signal-to-noise ratio, structural similarity and mean difference, against scikit-image's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scenes import Started, by, evaluation, splits_of, truth_of

from polygan import DataError
from polygan_image.data.given import in_colour
from polygan_image.scores.pairs.similarity import absolute, luma, psnr, signal_to_noise, ssim, structure
from polygan_image.scores.pairs.trivial import enlarged


def two():
    """Two pictures (1, 3, 24, 20) in whole levels."""
    generator = torch.Generator().manual_seed(0)
    a = (torch.rand(1, 3, 24, 20, generator=generator) * 255).round()
    b = (a + torch.randn(1, 3, 24, 20, generator=generator) * 25).round().clamp(0, 255)
    return a / 127.5 - 1, b / 127.5 - 1


def test_numbers_are_those_of_scikit_image():
    """scikit-image 0.26: Gaussian weights, sigma 1.5, no sample covariance, data range 255; luma by rgb2ycbcr."""
    a, b = two()
    assert psnr(a, b).item() == pytest.approx(20.902123, abs=1e-5)
    assert ssim(a, b).item() == pytest.approx(0.95065287, abs=1e-6)
    assert psnr(luma(a), luma(b)).item() == pytest.approx(25.598404, abs=1e-5)
    assert ssim(luma(a), luma(b)).item() == pytest.approx(0.94959877, abs=1e-6)


def test_equal_pictures_have_a_finite_best_score():
    a, _ = two()
    assert psnr(a, a).item() == 100
    assert ssim(a, a).item() == pytest.approx(1, abs=1e-9)


def test_luma_is_that_of_bt_601():
    corners = torch.tensor([[-1.0, -1, -1], [1, 1, 1], [1, -1, -1]])[:, :, None, None]
    assert ((luma(corners) + 1) * 127.5).flatten().tolist() == pytest.approx([16, 235, 16 + 65.481], abs=1e-3)


def test_an_enlarged_picture_is_compared_without_its_border(smaller):
    truth = truth_of(smaller)

    def spoilt_at_the_edges(given):
        made = truth.clone()
        made[..., :2, :] = made[..., -2:, :] = made[..., :2] = made[..., -2:] = -1
        return made

    scores = by(signal_to_noise(evaluation(smaller, spoilt_at_the_edges)))
    assert scores["image/psnr"].value == scores["image/psnr-luma"].value == 100
    assert "without a border of 2 pixels" in scores["image/psnr"].note
    assert by(structure(evaluation(smaller, spoilt_at_the_edges)))["image/ssim"].value == pytest.approx(1)


def test_enlarging_by_formula_is_the_baseline(smaller):
    scores = by(signal_to_noise(evaluation(smaller, lambda given: enlarged(given, (24, 24), Image.Resampling.LANCZOS))))
    score = scores["image/psnr"]
    value, name = score.baseline
    assert score.better == "higher"
    assert (name, value) == ("Lanczos", score.value)  # the better one of both
    assert "bicubic" in score.note
    assert value > float(score.note.split("bicubic ")[1])


def test_a_score_names_the_start_of_the_run_too(grey):
    truth = truth_of(grey)
    own = evaluation(grey, lambda given: truth, recipe=Started, start=lambda given: torch.zeros_like(truth))
    (score,) = signal_to_noise(own)
    assert score.value == 100
    start = float(score.note.split("start ")[1])
    assert start == pytest.approx(float(psnr(torch.full_like(truth, 1 / 255), truth).mean()), abs=0.01)


def test_luma_is_no_score_where_luma_was_given(grey):
    scores = by(signal_to_noise(evaluation(grey, in_colour)))
    assert list(scores) == ["image/psnr"]
    assert scores["image/psnr"].kind == "pair"


def test_made_pictures_are_compared_as_they_are_written(grey):
    truth = truth_of(grey)
    near = lambda given: truth + 0.9 / 255  # noqa: E731 - rounds to the same level
    assert signal_to_noise(evaluation(grey, near))[0].value == 100


def test_pictures_with_nan_get_a_bad_score_and_are_counted(grey):
    truth = truth_of(grey)

    def diverged(given):
        made = truth.clone()
        made[:3] = torch.nan
        return made

    (score,) = signal_to_noise(evaluation(grey, diverged))
    assert score.value < 95
    assert "3 made pictures had NaN or infinite pixels" in score.note


def test_small_pictures_have_no_structure(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 3), dtype=np.uint8)
    tiny = splits_of(tmp_path, images, pairs="grey")
    with pytest.raises(DataError, match="image/ssim needs 11 pixels a side or more, and here are 8x8"):
        structure(evaluation(tiny, in_colour))


def test_the_mean_difference_is_in_units_of_the_data(grey, tmp_path):
    truth = truth_of(grey)
    (score,) = absolute(evaluation(grey, lambda given: truth - 2 * 10 / 255))
    clipped = (truth - (truth - 20 / 255).clamp(-1, 1)).mean() * 127.5
    assert score.value == pytest.approx(float(clipped), abs=1e-3)
    assert "from 0 to 255" in score.note


def test_pictures_of_another_size_than_the_truth_are_refused(grey):
    with pytest.raises(DataError, match=r"made pictures \(16, 3, 12, 24\) of pairs whose truth is \(16, 3, 24, 24\)"):
        signal_to_noise(evaluation(grey, lambda given: in_colour(given)[:, :, ::2]))
