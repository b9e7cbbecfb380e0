"""What scores mean: against floors and trivial baselines, and which claims they carry."""

from __future__ import annotations

import pytest

from polygan.scoring.health import describe
from polygan.scoring.judged import FAR_TITLE, FAULTS_TITLE, baseline_of, beats_baseline, claim, judged


def score(name, value, baseline=None, **more):
    return {"name": name, "value": value, "baseline": baseline, "floor": None, "better": "lower", **more}


def log(*scores, **more):
    return [
        {"event": "logged", "step": 9, "values": {}},
        {"event": "evaluated", "step": 9, "scores": [*scores], **more},
    ]


PAIR = score("near", 1.0, kind="pair")
WHOLE = score("far", 1.0, kind="distribution")


@pytest.mark.parametrize(
    ("found", "known"),
    [
        ({}, None),  # the log of an older polygan
        ({"baseline": None}, None),
        ({"baseline": [2, "grey"]}, (2.0, "grey")),
        ({"baseline": [None, "grey"]}, None),
        ({"baseline": ["2", "grey"]}, None),
        ({"baseline": [2]}, None),
        ({"baseline": "xy"}, None),
    ],
)
def test_a_baseline_is_read_from_any_log(found, known):
    assert baseline_of(found) == known


@pytest.mark.parametrize(
    ("value", "better", "beats"), [(1, "lower", True), (2, "lower", False), (3, "higher", True), (2, "higher", False)]
)
def test_a_score_beats_a_baseline_only_if_it_is_better(value, better, beats):
    assert beats_baseline({"value": value, "better": better, "baseline": [2, "grey"]}) is beats


@pytest.mark.parametrize(("value", "beats"), [(1.1, True), (0.7, True), (1.5, False), (0.5, False)])
def test_near_its_floor_a_score_beats_a_baseline_that_is_farther_away(value, beats):
    found = {"value": value, "better": "near", "floor": 1.0, "baseline": [0.5, "grey"]}
    assert beats_baseline(found) is beats
    assert beats_baseline({**found, "floor": None}) is None


@pytest.mark.parametrize("value", [12.0, 1 / 12])
def test_a_score_that_is_far_below_or_above_its_floor_is_far_where_near_is_better(value):
    (found,) = judged(log(score("a", value, floor=1.0, better="near")))
    assert (found.title, f"A at step 9 is {value:.3g}, and its floor is 1" in found.text) == (FAR_TITLE, True)
    (found,) = judged(log(score("a", 0.9, floor=1.0, better="near")))
    assert found.title == "The samples are near real ones"


def test_scores_that_beat_every_baseline_are_good_news():
    (found,) = judged(log(score("a", 1.0, [2, "grey"])))
    assert (found.level, found.title) == ("good", "The samples are better than a trivial answer")
    assert found.text == "A at step 9 is 1, and grey has 2."


def test_a_trivial_answer_that_wins_everywhere_is_a_warning_and_in_some_scores_a_remark():
    (all_lost,) = judged(log(score("a", 3.0, [2, "grey"])))
    assert (all_lost.level, all_lost.title) == ("warn", "A trivial answer is as good as the samples")
    (some,) = judged(log(score("a", 3.0, [2, "grey"]), score("b", 1.0, [2, "grey"])))
    assert (some.level, some.title) == ("info", "A trivial answer is as good as the samples in 1 of 2 scores")
    assert "b at step" not in some.text
    assert judged(log(score("a", 3.0))) == []


def test_faults_that_scores_find_are_said_and_take_the_ticks_away():
    fine = score("a", 1.0, [2, "grey"], floor=1.0)
    found = describe(log(fine, score("b", 3.0, trouble="3, worse than grey (2)"), score("c", 1.0, trouble="a hum")))
    assert (found[0].level, found[0].title) == ("warn", FAULTS_TITLE)
    assert found[0].text == "B at step 9: 3, worse than grey (2). C at step 9: a hum."
    assert {finding.level for finding in found[1:]} == {"info"}
    mended = [*log(score("b", 3.0, trouble="3, worse than grey (2)")), *log(fine, score("b", 1.0, trouble=""))]
    assert FAULTS_TITLE not in {finding.title for finding in describe(mended)}


def test_a_claim_needs_a_score_of_pairs_and_a_score_of_the_distribution():
    both = claim(log(PAIR, WHOLE, paired=True))
    assert both.startswith(
        "A claim needs a score of each kind. The values of near compare each sample with its own truth."
    )
    assert "The values of far compare all samples with all real ones." in both
    assert claim(log(PAIR, paired=True)).endswith(
        "A claim needs a score of the distribution too, and none was computed."
    )
    assert claim(log(WHOLE, paired=True)).endswith("A claim needs a score of pairs too, and none was computed.")


@pytest.mark.parametrize("records", [[], log(), log(WHOLE), log(score("a", 1.0), paired=True)])
def test_runs_without_pairs_or_kinds_hear_nothing_of_claims(records):
    assert claim(records) == ""


def test_a_kind_that_was_computed_earlier_counts():
    earlier = [{"event": "evaluated", "step": 5, "scores": [WHOLE], "paired": True}]
    assert claim([*earlier, *log(PAIR, paired=True)]).startswith("A claim needs a score of each kind.")


def test_scores_of_one_kind_are_a_finding_of_health():
    assert "The scores are of one kind" in [f.title for f in describe(log(PAIR, paired=True))]
    assert "The scores are of one kind" not in [f.title for f in describe(log(PAIR, WHOLE, paired=True))]
