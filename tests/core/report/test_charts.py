"""Charts of what a run measured."""

from __future__ import annotations

import numpy as np

from polygan.report.charts import chart, curves, smoothed


def test_smoothing_is_a_centred_mean_that_keeps_gaps():
    values = np.arange(100.0)
    line = smoothed(values, share=0.05)
    assert np.allclose(line[2:-2], values[2:-2])
    values[50] = np.nan
    line = smoothed(values, share=0.05)
    assert np.isnan(line[50])
    assert line[51] == np.mean([49, 51, 52, 53])
    assert smoothed(np.array([3.0])) == [3.0]


def test_a_baseline_is_a_dotted_line_within_the_axis():
    points = [(1000 * step, 1.0 + step / 100) for step in range(10)]
    plain, marked = chart(points, "score/near"), chart(points, "score/near", 5.0)
    assert "stroke-dasharray" in marked
    assert "stroke-dasharray" not in plain
    assert ">4<" in marked  # a tick: the axis reaches the baseline
    assert ">4<" not in plain
    drawn = curves({"score/near": points, "score/far": points}, {"score/near": 5.0})
    assert drawn.count("stroke-dasharray") == 1
    assert "A dotted line is the baseline of a score, or the floor of a score that is best near its floor." in drawn
    assert "dotted" not in curves({"score/near": points})
