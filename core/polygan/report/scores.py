"""The scores of a run as a table, and the plots that metrics drew."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .charts import PLOT_COLOURS, plot, scores_of
from .html import finite, number, safe, soft

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..scoring.records import Record

_FAR_ABOVE = 1000
"""A value this many times its floor is "far above": the exact ratio says nothing more."""
_FAR_BEYOND = 10
"""A floor this much smaller than a value that should be high is no measure of the value."""


def score_table(records: Sequence[Record]) -> str:
    """A table of the newest value of each score, next to its floor."""
    newest: dict[str, tuple[int, Mapping[str, object]]] = {}
    for record in records:
        newest |= {str(score.get("name")): (record["step"], score) for score in scores_of(record)}
    if not newest:
        return soft("No scores have been computed yet.")
    rows = "".join(
        f"<tr><th scope=row>{safe(name)}<div class=soft>step {step:,}, {_better(score)} is better</div></th>"
        f"<td>{number(score.get('value'))}{_bar(score)}</td>"
        f"<td class=soft>{safe(score.get('note') or '')}</td></tr>"
        for name, (step, score) in newest.items()
    )
    head = "<thead><tr><th>Score</th><th>Value and floor</th><th>Note</th></tr></thead>"
    floor = "The floor, marked by a stroke, is the score of held-out real samples against other real samples."
    return f"<table class=scores>{head}<tbody>{rows}</tbody></table>{soft(floor)}"


def plots(records: Sequence[Record]) -> str:
    """The newest drawing of each plot that metrics returned."""
    newest: dict[str, tuple[int, Mapping[str, object]]] = {}
    for record in records:
        plots = record.get("plots")
        found = [p for p in plots if isinstance(p, dict)] if isinstance(plots, list) else []
        newest |= {str(p.get("name")): (record["step"], p) for p in found}
    return "".join(_plot(name, step, p) for name, (step, p) in newest.items())


def _plot(name: str, step: int, found: Mapping[str, object]) -> str:
    lines = found.get("lines") or {}
    try:
        if not isinstance(lines, dict):
            raise TypeError("lines are no mapping")
        svg = plot(lines, str(found.get("x")), str(found.get("y")), name)
    except (ValueError, TypeError):
        return soft(f"{name} of step {step:,} cannot be drawn.")
    names = zip(lines, PLOT_COLOURS, strict=False)
    legend = " ".join(f'<span style="color:var(--{colour})">● {safe(line)}</span>' for line, colour in names)
    caption = f"<b>{safe(name)}</b> <span class=soft>step {step:,}</span><br>{legend}"
    return f"<figure class=plot><figcaption>{caption}</figcaption>{svg}{soft(str(found.get('note') or ''))}</figure>"


def _better(score: Mapping[str, object]) -> str:
    return "higher" if score.get("better") == "higher" else "lower"


def _bar(score: Mapping[str, object]) -> str:
    """The value as a bar with a stroke at the floor, and the two compared in words; only the floor's number where a bar has no sense."""
    value, floor = finite(score.get("value")), finite(score.get("floor"))
    if math.isnan(floor):
        return ""
    higher = _better(score) == "higher"
    if not (value >= 0 and floor > 0) or (higher and value > _FAR_BEYOND * floor):
        return f" <span class=soft>floor {number(floor)}</span>"
    # The floor is as good as a score can mean, so a bar of "higher is better" is full at the floor and ends there.
    most = floor if higher else max(value, floor)
    length, stroke = (100 * min(x / most, 1) for x in (value, floor))
    bar = f'<i style="width:{length:.1f}%"></i><b style="left:calc({stroke:.1f}% - 1px)"></b>'
    words = _compared(value / floor, higher=higher)
    return f" <span class=soft>{words} ({number(floor)})</span><span class=bar>{bar}</span>"


def _compared(ratio: float, *, higher: bool) -> str:
    """How a value stands to its floor, from value / floor >= 0. A value beyond the floor is no better than a value at the floor."""
    if (ratio >= 1) if higher else (ratio <= 1):
        return "at the floor"
    if higher:
        return f"{min(round(100 * ratio), 99)}% of real" if ratio >= 0.01 else "under 1% of real"
    return f"{ratio:.3g}× floor" if ratio < _FAR_ABOVE else "far above the floor"
