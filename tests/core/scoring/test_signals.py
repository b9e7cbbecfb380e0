"""Signals of health are measured: collapse, duplicates and overfitting, and nothing where nothing can be measured."""

from __future__ import annotations

import pytest
import torch

from polygan.scoring.health import collapse_signals, describe, overfitting_signal


def points(n, seed, scale=1.0):
    return scale * torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))


def test_samples_like_the_data_are_healthy():
    signals = collapse_signals(points(64, 0), points(64, 1))
    assert signals["nn_ratio"] == pytest.approx(1, abs=0.25)
    assert signals["duplicates"] == 0


def test_one_picture_a_class_is_named_as_collapse():
    centres = points(8, 2)
    fakes = centres.repeat_interleave(8, 0) + points(64, 3, 0.001)
    signals = collapse_signals(fakes, points(64, 1))
    assert signals["nn_ratio"] < 0.05
    assert signals["duplicates"] > 0.9
    (finding,) = [
        f
        for f in describe(
            [{"step": 5, "event": "logged", "values": {}}, {"step": 5, "event": "health", "values": signals}]
        )
        if f.level == "bad"
    ]
    assert "Collapse" in finding.title


def test_exact_duplicates_are_counted():
    fakes = points(40, 0)
    fakes[:10] = fakes[10:20]
    assert collapse_signals(fakes, points(40, 1))["duplicates"] == pytest.approx(0.5)


def test_few_samples_say_nothing():
    assert collapse_signals(points(3, 0), points(3, 1)) == {}


def test_overfitting_is_the_way_from_training_samples_to_fakes():
    train, fake = points(256, 0)[:, 0] + 4, points(256, 1)[:, 0]
    for share in (0.0, 0.5, 1.0):
        held_out = points(256, 2)[:, 0] + 4 * (1 - share)
        gap = overfitting_signal(train, held_out, fake)["held_out_gap"]
        assert gap == pytest.approx(share, abs=0.06)
    assert overfitting_signal(fake, fake, fake) == {}


def test_data_that_repeats_itself_has_no_usual_distance():
    """A quotient by that distance was a number of 16 digits, and the report showed it in percent."""
    real = points(5, 0).repeat_interleave(10, 0)
    assert collapse_signals(points(50, 1), real) == {}
