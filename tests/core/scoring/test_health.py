"""Health tells collapse, duplicates and overfitting from a healthy run, in words with a remedy and without contradictions."""

from __future__ import annotations

import itertools

import pytest

from polygan.scoring.health import describe, many, share


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


def scores(*found):
    """A record of scores, each (name, value, floor) or (name, value, floor, "higher")."""
    keys = ("name", "value", "floor", "better")
    return {"event": "evaluated", "step": 50, "scores": [dict(zip(keys, score, strict=False)) for score in found]}


def said(records):
    return [(f.level, f.title) for f in describe(records)]


FINE = {"nn_ratio": 1.0, "duplicates": 0.0, "held_out_gap": 0.0}
VARIED, GENERAL = "The samples are varied", "The discriminator generalises"
SURE, FAR = "The discriminator is too sure of the training samples", "The samples are far from real"
ALL_REAL, ALL_FAKE = "The discriminator calls everything real", "The discriminator calls everything fake"
WINS, MATCHED = "The discriminator wins almost always", "The two sides are matched"
NO_TROUBLE = ("good", "No sign of trouble")


@pytest.mark.parametrize(
    ("accuracy", "r_t", "health", "found", "expected"),
    [
        (0.8, 0.2, FINE, (), [("good", MATCHED), ("good", VARIED), ("good", GENERAL), NO_TROUBLE]),
        # The fakes are called real too: no overfitting, and a gap between equal logits means nothing.
        (0.53, 1.0, FINE, (), [("warn", ALL_REAL), ("good", VARIED)]),
        (0.53, 1.0, {**FINE, "held_out_gap": 0.9}, (), [("warn", ALL_REAL), ("good", VARIED)]),
        (0.65, 0.7, {}, (), [("warn", ALL_REAL)]),
        (0.52, -0.95, FINE, (), [("warn", ALL_FAKE), ("good", VARIED)]),
        # The fakes are called fake: overfitting, unless held-out samples are called real as well.
        (0.8, 0.7, {}, (), [("warn", SURE)]),
        (0.97, 0.95, {}, (), [("bad", SURE)]),
        (0.97, 0.95, FINE, (), [("warn", WINS), ("good", VARIED), ("good", GENERAL)]),
        (0.97, 0.95, {**FINE, "held_out_gap": 0.8}, (),
         [("bad", SURE), ("bad", "The discriminator learns the training samples by heart"), ("good", VARIED)]),
        (0.995, 0.99, {}, (), [("bad", SURE), ("warn", WINS)]),
        (0.8, 0.2, {"held_out_gap": 0.8}, (), [("bad", "The discriminator learns the training samples by heart")]),
        (0.5, 0.0, FINE, (), [("good", VARIED), NO_TROUBLE, ("info", "The discriminator guesses")]),
        # A score that is far from its floor takes the ticks away.
        (0.8, 0.2, FINE, [("image/frechet", 90.0, 1.0)],
         [("warn", FAR), ("info", MATCHED), ("info", VARIED), ("info", GENERAL)]),
        (0.8, 0.2, {}, [("image/precision", 0.0, 0.9, "higher")], [("warn", FAR), ("info", MATCHED)]),
        (0.8, 0.2, {}, [("a", 1.9, 1.0), ("b", 50.0, 1.0)],
         [("good", "The samples are near real ones"), ("good", MATCHED), NO_TROUBLE]),
        (0.8, 0.2, {}, [("a", 4.0, 1.0), ("b", 50.0, 1.0), ("c", 60.0, 1.0)], [("warn", FAR), ("info", MATCHED)]),
        (0.8, 0.2, {}, [("a", 4.0, 1.0)], [("good", MATCHED), NO_TROUBLE]),
        (0.8, 0.2, {}, [("a", 0.1, 1.0)], [("good", MATCHED), NO_TROUBLE]),  # better than real is no good news
        # No ratio: no floor, a floor of 0 or below, no number.
        (0.8, 0.2, {}, [("a", 9e9, None), ("b", 9.0, 0.0), ("c", 9.0, -1.0), ("d", None, 1.0), ("e", "x", 1)],
         [("good", MATCHED), NO_TROUBLE]),
        (0.8, 0.2, {"nn_ratio": 4.0, "duplicates": 0.0}, (),
         [("good", MATCHED), NO_TROUBLE, ("info", "The samples are further apart than the data")]),
        (0.8, 0.2, {"nn_ratio": 1.29e12, "duplicates": 0.0}, (), [("good", MATCHED), NO_TROUBLE]),
    ],
)  # fmt: skip
def test_a_table_of_logs_and_all_that_is_said_of_each(accuracy, r_t, health, found, expected):
    assert said(log({"d/accuracy": accuracy, "d/r_t": r_t}, health, [scores(*found)] if found else ())) == expected


def test_the_newest_value_of_a_score_counts():
    old, new = scores(("a", 90.0, 1.0)), scores(("a", 1.5, 1.0))
    assert ("warn", FAR) in said(log(extra=[new, old]))
    assert ("warn", FAR) not in said(log(extra=[old, new]))


def test_no_log_gives_findings_that_contradict_each_other():
    groups = [{SURE, WINS}, {ALL_REAL}, {ALL_FAKE}, {MATCHED}, {"The discriminator guesses"}]
    grid = [x / 20 for x in range(21)]
    for accuracy, r_t, gap, value in itertools.product(grid, [2 * x - 1 for x in grid], (None, 0.0, 0.5, 5.0), (1, 90)):
        health = {"nn_ratio": 1.0, "duplicates": 0.0} | ({} if gap is None else {"held_out_gap": gap})
        records = log({"d/accuracy": accuracy, "d/r_t": r_t, "d/r1": 0.1}, health, [scores(("a", value, 1.0))])
        findings = said(records)
        titles = {title for _, title in findings}
        where = (accuracy, r_t, gap, value, findings)
        assert sum(bool(group & titles) for group in groups) <= 1, where
        assert not (GENERAL in titles and SURE in titles), where
        assert ("R1's weight may be too small" in titles) <= (SURE in titles), where
        assert not ("R1's weight may be too large" in titles and titles & {SURE, WINS}), where
        assert not (FAR in titles and any(level == "good" for level, _ in findings)), where
        assert not (NO_TROUBLE[1] in titles and any(level in ("warn", "bad") for level, _ in findings)), where


def test_two_discriminators_are_told_apart():
    records = log({"d/accuracy": 0.8, "d/r_t": 0.2, "e/accuracy": 0.97, "e/r_t": 0.95})
    assert said(records) == [("bad", f"{SURE} in turn 'e'"), ("good", f"{MATCHED} in turn 'd'")]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.0, "100%"), (0.25, "25%"), (12.3, "12 times"), (4.2e4, "42,000 times"), (1.29e12, "over a million times")],
)
def test_a_share_of_many_times_the_whole_is_no_percentage(ratio, text):
    assert share(ratio) == text


def test_ratios_are_short():
    assert [many(x) for x in (0.123, 1.0, 9.96, 90.4, 12345, 2e6)] == [
        "0.12",
        "1",
        "10",
        "90",
        "12,000",
        "over a million",
    ]


def test_a_score_of_nothing_is_said_as_it_is():
    """A ratio to a score of 0 says nothing."""
    records = [*log(), scores(("image/precision", 0.0, 0.9, "higher"))]
    (far,) = [f for f in describe(records) if f.title == FAR]
    assert far.text.startswith("Image/precision at step 50 is 0, and its floor is 0.9.")
