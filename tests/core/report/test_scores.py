"""The scores of a run as a table, and the plots of its metrics."""

from __future__ import annotations

import re

from polygan.report.scores import plots, score_table

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
