"""The scores of a run as a table, and the plots that metrics drew."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup

from ..scoring.judged import NEAR, baseline_of, beats_baseline, claim, newest_scores, wanted
from .charts import PLOT_COLOURS, plot
from .html import finite, number, part, shown, soft

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..scoring.judged import Record

_FAR_ABOVE = 1000
"""A value this many times its floor is "far above": the exact ratio says nothing more."""
_FAR_BEYOND = 10
"""A floor this much smaller than a value that should be high is no measure of the value."""


def score_table(records: Sequence[Record]) -> Markup:
    """A table of the newest value of each score, next to its floor and its baseline, and which claims the scores carry."""
    newest = newest_scores(records)
    if not newest:
        return soft("No scores have been computed yet.")
    rows = [
        {
            "name": name,
            "about": f"step {step:,}, {wanted(score.get('better'))} is better",
            "value": Markup(f"{number(score.get('value'))}{_error(score)}") + _bar(score) + _baseline(score),
            "note": score.get("note") or "",
        }
        for name, (step, score) in newest.items()
    ]
    compared = any(baseline_of(score) for _, score in newest.values())
    value = "Value, floor and baseline" if compared else "Value and floor"
    said = "The floor, marked by a stroke, is the score of held-out real samples against other real samples."
    said += " The baseline, marked by a dotted stroke, is the score of the best trivial answer." if compared else ""
    return part("scores", rows, value, (said, claim(records)))


def levels(records: Sequence[Record]) -> dict[str, float]:
    """What the curve of each score is compared with: the newest floor of a score that is best near its floor, else the newest baseline."""
    found: dict[str, float] = {}
    for name, (_, score) in newest_scores(records).items():
        baseline = baseline_of(score)
        level = finite(score.get("floor")) if score.get("better") == NEAR else baseline[0] if baseline else math.nan
        found |= {} if math.isnan(level) else {f"score/{name}": level}
    return found


def plots(records: Sequence[Record]) -> Markup:
    """The newest drawing of each plot that metrics returned."""
    newest: dict[str, tuple[int, Mapping[str, object]]] = {}
    for record in records:
        plots = record.get("plots")
        found = [p for p in plots if isinstance(p, dict)] if isinstance(plots, list) else []
        newest |= {str(p.get("name")): (record["step"], p) for p in found}
    return Markup("").join(_plot(name, step, p) for name, (step, p) in newest.items())


def _plot(name: str, step: int, found: Mapping[str, object]) -> Markup:
    lines = found.get("lines") or {}
    try:
        if not isinstance(lines, dict):
            raise TypeError("lines are no mapping")
        svg = plot(lines, str(found.get("x")), str(found.get("y")), name)
    except (ValueError, TypeError):
        return soft(f"{name} of step {step:,} cannot be drawn.")
    legend = part("legend", list(zip(lines, PLOT_COLOURS, strict=False)))
    return part("plot", name, f"{step:,}", legend, svg, str(found.get("note") or ""))


def _error(score: Mapping[str, object]) -> str:
    """The standard error of the value; empty where a log holds none."""
    error = finite(score.get("error"))
    return "" if math.isnan(error) else f" ± {error:.2g}"


def _bar(score: Mapping[str, object]) -> Markup:
    """The value as a bar with a stroke at the floor, and the two compared in words; only the floor's number where a bar has no sense."""
    value, floor = finite(score.get("value")), finite(score.get("floor"))
    better = score.get("better")
    higher = better == "higher"
    if math.isnan(floor):
        return Markup("")
    if not (value >= 0 and floor > 0) or (higher and value > _FAR_BEYOND * floor):
        return part("words", f"floor {number(floor)}")
    # The floor is as good as a score can mean, so a bar of "higher is better" is full at the floor and ends there.
    baseline = (baseline_of(score) or (math.nan, ""))[0]
    most = floor if higher else max(value, floor, baseline if baseline >= 0 else 0)
    words = _compared(value / floor, better)
    return part("words", f"{words} ({number(floor)})") + _drawn(value, most, floor=floor, baseline=baseline)


def _baseline(score: Mapping[str, object]) -> Markup:
    """The baseline in words, whether the value is better, and a bar of both where no bar shows the floor."""
    found, beats = baseline_of(score), beats_baseline(score)
    if found is None or beats is None:
        return Markup("")
    baseline, name = found
    value, alone = finite(score.get("value")), math.isnan(finite(score.get("floor")))
    words = "better than" if beats else "as good as" if value == baseline else "worse than"
    said, bar = f"{words} {shown(name, 80)} ({number(baseline)})", Markup("")
    if alone and min(value, baseline) >= 0 and max(value, baseline) > 0:
        bar = _drawn(value, max(value, baseline), baseline=baseline)
    return part("against", said, bar)


def _drawn(value: float, most: float, *, floor: float = math.nan, baseline: float = math.nan) -> Markup:
    """A bar of ``value`` where ``most`` is the whole length, with a stroke at the floor and a dotted stroke at the baseline."""
    strokes = [(100 * at / most, kind) for at, kind in ((baseline, "dotted"), (floor, "")) if 0 <= at <= most]
    return part("bar", 100 * min(value / most, 1), strokes)


def _compared(ratio: float, better: object) -> str:
    """How a value stands to its floor, from value / floor >= 0. A value beyond the floor is no better than a value at the floor."""
    if f"{ratio:.3g}" == "1" if better == NEAR else ratio >= 1 if better == "higher" else ratio <= 1:
        return "at the floor"
    if better == "higher":
        return f"{min(round(100 * ratio), 99)}% of real" if ratio >= 0.01 else "under 1% of real"
    return f"{ratio:.3g}× floor" if ratio < _FAR_ABOVE else "far above the floor"
