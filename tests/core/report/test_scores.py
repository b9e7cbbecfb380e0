"""The scores of a run as a table, and the plots of its metrics."""

from __future__ import annotations

import re

import pytest

from polygan.report.scores import levels, plots, score_table

SCORES = [
    {"name": "image/frechet", "value": 4.2, "floor": 2.0, "better": "lower", "note": "<b>"},
    {"name": "image/recognised", "value": 0.96, "floor": 0.97, "better": "higher", "note": ""},
    {"name": "image/none", "value": None, "floor": None, "better": "lower", "note": "not computed"},
]
LINES = {"generator": [[1.0, 2.0], [1.5, 1.0]], "<i>": [[1.1, 2.1], [1.6, 1.1]]}
PLOTS = [
    {"name": "text/sweep", "x": "<u>", "y": "quality", "lines": LINES, "note": "<s>"},
    {"name": "text/broken", "x": "x", "y": "y", "lines": {"a": "nonsense"}},
    {"name": "text/listed", "x": "x", "y": "y", "lines": [1, 2]},
]


def words(html):
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_scores_stand_next_to_their_floor():
    older = {"event": "evaluated", "step": 500, "scores": [{**SCORES[0], "value": 9.0}]}
    table = score_table([older, {"event": "evaluated", "step": 1000, "scores": SCORES}])
    assert "step 1,000, lower is better 4.2 2.1× floor (2)" in words(table)
    assert "0.96 99% of real (0.97)" in words(table)
    assert "not finite not computed" in words(table)
    assert "step 500" not in table
    assert "&lt;b&gt;" in table
    assert words(score_table([older][:0])) == "No scores have been computed yet."


def test_a_standard_error_stands_behind_the_value():
    scores = [{**SCORES[0], "error": 0.126}, {**SCORES[1], "error": None}]
    table = words(score_table([{"event": "evaluated", "step": 1000, "scores": scores}]))
    assert "4.2 ± 0.13 2.1× floor (2)" in table
    assert "0.96 99% of real (0.97)" in table


def test_plots_of_metrics_have_axes_legend_and_note():
    drawn = plots([{"event": "evaluated", "step": 1000, "plots": PLOTS}])
    figure = re.search(r"<figure class=plot>.*?</figure>", drawn)[0]
    svg = re.search(r"<svg.*?</svg>", figure)[0]
    assert "text/sweep" in figure
    assert "quality" in svg
    assert figure.count("●") == 2
    for i in (0, 1):  # a line each, in the page's colours, named in the same colour
        assert f"color:var(--c{i})" in figure
        assert f"stroke: var(--c{i})" in svg
    assert "#0000" not in svg
    assert not re.search(r"<[ius]>", drawn)
    for name in ("broken", "listed"):
        assert f"text/{name} of step 1,000 cannot be drawn." in words(drawn)


@pytest.mark.parametrize(
    ("value", "floor", "better", "said", "width"),
    [
        (1.0, 0.925, "higher", "1 at the floor (0.925)", 100),  # precision of samples without variety
        (0.925, 0.925, "higher", "0.925 at the floor (0.925)", 100),
        (0.6, 0.8, "higher", "0.6 75% of real (0.8)", 75),
        (0.7999, 0.8, "higher", "0.7999 99% of real (0.8)", 100),
        (0.001, 0.8, "higher", "0.001 under 1% of real (0.8)", 0.1),
        (0.0, 0.8, "higher", "0 under 1% of real (0.8)", 0),
        (0.9, 7e-13, "higher", "0.9 floor 7e-13", None),
        (2.0, 4.0, "lower", "2 at the floor (4)", 50),
        (1e-9, 4.0, "lower", "1e-09 at the floor (4)", 0),
        (6.0, 4.0, "lower", "6 1.5× floor (4)", 100),
        (5000.0, 4.0, "lower", "5,000 far above the floor (4)", 100),
        (3.0, 5e-324, "lower", "3 far above the floor (4.941e-324)", 100),
        (1e308, 5e-324, "lower", "1e+308 far above the floor (4.941e-324)", 100),
        (0.1, 0.0, "lower", "0.1 floor 0", None),
        (-0.001, 0.002, "lower", "-0.001 floor 0.002", None),
        (0.5, None, "higher", "0.5", None),
    ],
)  # fmt: skip
def test_no_bar_is_longer_than_the_floor_of_a_score_that_should_be_high(value, floor, better, said, width):
    score = {"name": "n", "value": value, "floor": floor, "better": better}
    table = score_table([{"event": "evaluated", "step": 1, "scores": [score]}])
    assert words(table).startswith(f"Score Value and floor Note n step 1, {better} is better {said} The floor,")
    found = re.search(r"width:([\d.]+)%", table)
    assert (found is None) == (width is None)
    assert found is None or float(found[1]) == pytest.approx(width, abs=0.06)


@pytest.mark.parametrize(
    ("value", "floor", "better", "said", "bars", "strokes"),
    [
        (20.0, None, "higher", "20 worse than bicubic (25)", 1, 1),
        (30.0, None, "higher", "30 better than bicubic (25)", 1, 1),
        (25.0, None, "lower", "25 as good as bicubic (25)", 1, 1),
        (-1.0, None, "lower", "-1 better than bicubic (25)", 0, 0),
        (5.0, 2.0, "lower", "5 2.5× floor (2) better than bicubic (25)", 1, 2),
        (5.0, -1.0, "lower", "5 floor -1 better than bicubic (25)", 0, 0),
    ],
)  # fmt: skip
def test_the_baseline_stands_beside_value_and_floor(value, floor, better, said, bars, strokes):
    score = {"name": "n", "value": value, "floor": floor, "better": better, "baseline": [25.0, "bicubic"]}
    records = [{"event": "evaluated", "step": 1, "scores": [score]}]
    table = score_table(records)
    assert words(table).startswith(
        f"Score Value, floor and baseline Note n step 1, {better} is better {said} The floor,"
    )
    assert "The baseline, marked by a dotted stroke, is the score of the best trivial answer." in words(table)
    assert (table.count("class=bar"), len(re.findall(r"<b[ >]", table))) == (bars, strokes)
    assert levels(records) == {"score/n": 25.0}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.8, "0.8 0.8× floor (1)"),
        (1.25, "1.25 1.25× floor (1)"),
        (1.001, "1.001 at the floor (1)"),
        (5000.0, "5,000 far above the floor (1)"),
    ],
)
def test_a_score_that_is_best_near_its_floor_is_worse_on_either_side(value, said):
    score = {"name": "n", "value": value, "floor": 1.0, "better": "near"}
    records = [{"event": "evaluated", "step": 1, "scores": [score]}]
    assert f"step 1, near the floor is better {said} The floor," in words(score_table(records))
    assert levels(records) == {"score/n": 1.0}  # the dotted line of the curve
    assert levels([{**records[0], "scores": [{**score, "floor": None}]}]) == {}


def test_the_name_of_a_baseline_is_escaped():
    score = {"name": "n", "value": 1.0, "better": "lower", "baseline": [2.0, "<script>"]}
    assert "<script>" not in score_table([{"event": "evaluated", "step": 1, "scores": [score]}])


def test_the_report_says_which_claims_the_scores_carry():
    score = {"name": "n", "value": 1.0, "better": "lower", "kind": "pair"}
    record = {"event": "evaluated", "step": 1, "scores": [score]}
    assert "A claim needs a score of the distribution too" in words(score_table([{**record, "paired": True}]))
    assert "claim" not in words(score_table([record]))
