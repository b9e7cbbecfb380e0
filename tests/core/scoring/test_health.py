"""Health signals tell collapse, duplicates and overfitting from a healthy run, in words with a remedy."""

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
    (finding,) = [f for f in describe(log(health=signals)) if f.level == "bad"]
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


def log(values=None, health=None, extra=()):
    records = [{"event": "logged", "step": 50, "values": {"d/accuracy": 0.8, "d/r_t": 0.2, **(values or {})}}]
    if health is not None:
        records.append({"event": "health", "step": 50, "values": health})
    return [*records, *extra]


@pytest.mark.parametrize(
    ("records", "level", "words"),
    [
        (log({"d/r_t": 0.7}), "warn", "too sure"),
        (log({"d/r_t": 0.97}), "bad", "too sure"),
        (log({"d/accuracy": 0.995}), "warn", "wins almost always"),
        (log({"skipped/generator": 3.0}), "warn", "Steps were skipped"),
        (log(health={"nn_ratio": 0.5, "duplicates": 0.0}), "warn", "less varied"),
        (log(health={"held_out_gap": 0.5}), "warn", "by heart"),
        (log(health={"held_out_gap": 0.9}), "bad", "by heart"),
        (log(extra=[{"event": "diverged", "message": "m"}]), "warn", "Diverged 1 time"),
        (
            log(extra=[{"event": "diverged", "message": "m"}, {"event": "ended", "status": "failed"}]),
            "bad",
            "Diverged",
        ),
        (log(health={"nn_ratio": 1.0, "duplicates": 0.0, "held_out_gap": 0.0}), "good", "varied"),
        ([], "info", "Nothing logged"),
        (log({"d/r_t": 0.7, "r1/penalty": 0.1}), "info", "weight may be too small"),
        (log({"d/accuracy": 0.51, "d/r1": 0.1}), "info", "weight may be too large"),
        (log({"d/r_t": None, "d/accuracy": None}), "good", "No sign of trouble"),
    ],
)
def test_findings_in_words(records, level, words):
    findings = describe(records)
    assert any(f.level == level and words in f.title for f in findings), findings
    order = [("bad", "warn", "good", "info").index(f.level) for f in findings]
    assert order == sorted(order)


def test_a_healthy_run_has_no_warning():
    findings = describe(log(health={"nn_ratio": 0.9, "duplicates": 0.0, "held_out_gap": 0.1}))
    assert not [f for f in findings if f.level in ("warn", "bad")]


def test_the_weight_of_r1_is_spoken_of_only_where_there_is_one_and_a_reason():
    for values in ({"d/r_t": 0.7}, {"d/accuracy": 0.51}, {"r1/penalty": 0.1}):
        assert not [f for f in describe(log(values)) if "R1" in f.title]


@pytest.mark.parametrize("signal", ["nn_ratio", "duplicates", "held_out_gap"])
def test_a_signal_that_is_not_finite_is_no_good_news(signal):
    health = {"nn_ratio": 1.0, "duplicates": 0.0} if signal != "held_out_gap" else {}
    findings = describe(log(health={**health, signal: float("nan")}))
    assert not [f for f in findings if "varied" in f.title or "generalises" in f.title]
