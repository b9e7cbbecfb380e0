"""Scores of colour, and how each is fooled: a claim needs a score of pairs and a score of the distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scenes import DOMAIN, evaluation, splits_of, truth_of

from polygan import DataError
from polygan_image.colour import lab_to_srgb, srgb_to_lab
from polygan_image.data.given import in_colour
from polygan_image.scores.pairs.colours import (
    colour_difference,
    colour_distribution,
    colourfulness,
    difference,
    divergence,
    histogram,
)


def wrong_chroma(truth):
    """Each picture with its own lightness and the a and b of the next picture."""
    lab = srgb_to_lab(truth)
    return lab_to_srgb(torch.cat([lab[:, :1], lab.roll(1, 0)[:, 1:]], 1))


def sepia(truth, strength=0.4):
    """Each picture in tones of one brown."""
    light = srgb_to_lab(truth)[:, :1]
    return lab_to_srgb(
        torch.cat([light, strength * 40 * torch.ones_like(light), strength * 80 * torch.ones_like(light)], 1)
    )


def test_divergence_is_in_bits():
    p, q = torch.tensor([0.5, 0.5, 0.0]).double(), torch.tensor([0.0, 0.0, 1.0]).double()
    assert divergence(p, p) == 0
    assert divergence(p, q) == pytest.approx(1)
    # By hand: m = (1/4, 1/4, 1/2); KL(p, m) = 1, KL(r, m) = 1/2 log2 2 + 1/2 log2 1 = 1/2 with r = (1/2, 0, 1/2).
    r = torch.tensor([0.5, 0.0, 0.5]).double()
    middle = (p + r) / 2
    expected = sum(0.5 * float((x[x > 0] * torch.log2(x[x > 0] / middle[x > 0])).sum()) for x in (p, r))
    assert divergence(p, r) == pytest.approx(expected)


def test_a_histogram_has_bins_of_ten_units_of_a_and_b():
    grey = torch.zeros(1, 3, 2, 2)
    red = torch.tensor([1.0, -1, -1])[None, :, None, None].expand(1, 3, 2, 2)
    shares = histogram(torch.cat([grey, grey, red]))
    assert shares.shape == (484,)
    a, b = 80.09, 67.2  # of sRGB red
    assert shares[int((a + 110) // 10) * 22 + int((b + 110) // 10)].item() == pytest.approx(1 / 3)
    assert shares.max().item() == pytest.approx(2 / 3)


def test_colourfulness_is_that_of_hasler_and_suesstrunk():
    """By hand: two pixels, red and green. rg = (255, -255): mean 0, deviation 255; yb = (127.5, 127.5): mean 127.5, deviation 0."""
    image = torch.tensor([[1.0, -1], [-1, 1], [-1, -1]])[None, :, None]  # (1, 3, 1, 2)
    assert colourfulness(image) == pytest.approx(255 + 0.3 * 127.5)
    assert colourfulness(torch.zeros(1, 3, 4, 4)) == pytest.approx(0, abs=1e-9)


def test_the_truth_has_no_difference_and_grey_has_some(grey):
    truth = truth_of(grey)
    (score,) = colour_difference(evaluation(grey, lambda given: truth))
    assert score.value == pytest.approx(0, abs=1e-4)
    assert {score.baseline[1]} | {"grey copy", "median colour by lightness"} == {
        "grey copy",
        "median colour by lightness",
    }
    given = DOMAIN.given(grey["held_out"], grey["held_out"].rows).data
    (copy,) = colour_difference(evaluation(grey, in_colour))
    assert copy.value == pytest.approx(difference(in_colour(given), truth), abs=0.2)  # rounding to levels


def test_the_colours_of_other_pictures_fool_the_distribution_and_not_the_pairs(grey):
    truth = truth_of(grey)
    own = evaluation(grey, lambda given: wrong_chroma(truth))
    (distribution,), (pairs,) = colour_distribution(own), colour_difference(own)
    assert distribution.kind == "distribution"
    assert pairs.kind == "pair"
    assert distribution.value < 0.5 * distribution.floor  # near perfect: better than other real pictures
    assert pairs.value > pairs.baseline[0]  # worse than a trivial answer


def test_brown_pictures_fool_colourfulness_and_neither_score(grey):
    truth = truth_of(grey)
    brown = next(s for s in np.linspace(0.2, 3, 57) if colourfulness(sepia(truth, s)) > 0.95 * colourfulness(truth))
    assert colourfulness(sepia(truth, brown)) < 1.1 * colourfulness(truth)
    own = evaluation(grey, lambda given: sepia(truth, brown))
    (distribution,), (pairs,) = colour_distribution(own), colour_difference(own)
    assert "colourfulness" in distribution.note
    assert distribution.value > 0.9  # of 1: hardly any colour is one of the real ones
    assert distribution.value > distribution.baseline[0] > distribution.floor
    assert pairs.value > pairs.baseline[0]


def test_the_truth_is_a_perfect_distribution_and_the_floor_is_another_draw(grey):
    truth = truth_of(grey)
    (score,) = colour_distribution(evaluation(grey, lambda given: truth))
    assert score.value == 0
    assert 0 < score.floor < 1
    assert score.baseline[0] > score.floor


def test_pictures_without_colours_have_no_scores_of_colour(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (20, 12, 12), dtype=np.uint8)
    plain = splits_of(tmp_path, images, pairs="smaller")
    own = evaluation(plain, lambda given: truth_of(plain))
    for metric in (colour_difference, colour_distribution):
        with pytest.raises(DataError, match="these pictures are not red, green and blue"):
            metric(own)
