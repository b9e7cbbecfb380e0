"""Charts of what a run measured."""

from __future__ import annotations

import numpy as np

from polygan.report.charts import smoothed


def test_smoothing_is_a_centred_mean_that_keeps_gaps():
    values = np.arange(100.0)
    line = smoothed(values, share=0.05)
    assert np.allclose(line[2:-2], values[2:-2])
    values[50] = np.nan
    line = smoothed(values, share=0.05)
    assert np.isnan(line[50])
    assert line[51] == np.mean([49, 51, 52, 53])
    assert smoothed(np.array([3.0])) == [3.0]
