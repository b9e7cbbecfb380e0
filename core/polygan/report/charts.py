"""Small line charts of a run's measurements, as inline SVG with the colours of the page."""

from __future__ import annotations

import math
import re
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

from ..messages import printable
from ..scoring.judged import stored_scores
from .html import duration, finite, number, part, soft

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from ..scoring.judged import Record
Points = list[tuple[int, float]]
Series = dict[str, Points]

POINTS = 600
"""The most points of a line; more points would not be visible."""

_PARTS = {
    "grad": "Gradient norms",
    "health": "Health and scores",
    "score": "Health and scores",
    "lr": "Learning rates and skipped steps",
    "skipped": "Learning rates and skipped steps",
    "other": "Other values",
}
_LARGEST = 1e100
_TICKS = (1, 2, 2.5, 5, 10)
PLOT_COLOURS = ("c0", "c1", "c2", "c3")
_DASHES = ("-", "--", ":")
MOST_RUNS = len(PLOT_COLOURS) * len(_DASHES)
"""The most runs that `overlay` tells apart."""
# Matplotlib writes these colours into the SVG; `_inlined` replaces them by the page's CSS variables.
_FIXED = {name: f"#00001{i}" for i, name in enumerate(PLOT_COLOURS)}
_VARIABLES = {"#00000a": "var(--soft)", "#00000b": "var(--line)", "#00000c": "var(--curve)"}
_INK, _GRID, _LINE = _VARIABLES
_VARIABLES |= {colour: f"var(--{name})" for name, colour in _FIXED.items()}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 7,
    "text.usetex": False,
    "axes.edgecolor": _GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}


def smoothed(values: np.ndarray, share: float = 0.04) -> np.ndarray:
    """The centred mean over ``share`` of all values (n,); nan where the value itself is not finite."""
    width = min(len(values), 2 * int(len(values) * share / 2) + 1)
    finite = np.isfinite(values)
    total = np.convolve(np.where(finite, values, 0), np.ones(width), "same")
    count = np.convolve(finite.astype(float), np.ones(width), "same")
    return np.where(finite, total / np.maximum(count, 1), np.nan)


def chart(points: Points, name: str, level: float = math.nan) -> Markup:
    """An SVG element: a fainter raw line of (step, value), a smoothed line over it, and a dotted line at ``level`` if that is a number.

    Charts of different names share no id. The value axis is logarithmic where positive values span more than two
    decades. The colours are the CSS variables ``--soft`` (text), ``--line`` (grid) and ``--curve``.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    x, raw = np.array(points, float).T  # (n,), (n,)
    line = smoothed(raw)
    keep = np.unique(np.linspace(0, len(x) - 1, POINTS).round().astype(int))
    with style.context(["default", {**_STYLE, "svg.hashsalt": ascii(name)}]):
        figure = Figure(figsize=(3.3, 1.75))
        axes = figure.add_axes((0.14, 0.13, 0.83, 0.82))
        axes.plot(x[keep], raw[keep], color=_LINE, alpha=0.28, linewidth=0.8)
        axes.plot(x[keep], line[keep], color=_LINE, linewidth=1.5, solid_capstyle="round")
        _scale(axes, x, raw, line, level)
        if math.isfinite(level):
            axes.axhline(level, color=_INK, linewidth=1, linestyle=":")
        file = StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=_NO_METADATA)
    return _inlined(file.getvalue(), name)


def overlay(lines: Sequence[Points | None], name: str) -> Markup:
    """An SVG element: the smoothed line of each run on shared axes. None and runs without a finite value draw nothing.

    The colours are ``--c0``, ``--c1``, ... in the order of the runs. From the fifth run on, lines are dashed, then dotted.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    drawn: list[tuple[int, np.ndarray, np.ndarray]] = []
    for i, points in enumerate(lines):
        x, raw = np.array(points or [], float).reshape(-1, 2).T  # (n,), (n,)
        if np.isfinite(raw).any():
            drawn.append((i, x, smoothed(raw)))
    with style.context(["default", {**_STYLE, "svg.hashsalt": ascii(name)}]):
        figure = Figure(figsize=(3.3, 1.75))
        axes = figure.add_axes((0.14, 0.13, 0.83, 0.82))
        for i, x, line in drawn:
            keep = np.unique(np.linspace(0, len(x) - 1, POINTS).round().astype(int))
            mark = "o" if len(x) == 1 else None
            colour, dash = run_colour(i)
            axes.plot(x[keep], line[keep], dash, color=_FIXED[colour], linewidth=1.5, marker=mark, markersize=3)
        if drawn:
            x, line = (np.concatenate([d[k] for d in drawn]) for k in (1, 2))
            _scale(axes, np.sort(x), line, line)
        file = StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=_NO_METADATA)
    return _inlined(file.getvalue(), name)


def run_colour(number: int) -> tuple[str, str]:
    """The name of the colour and the dashes of the line of a run by its number."""
    return PLOT_COLOURS[number % len(PLOT_COLOURS)], _DASHES[number // len(PLOT_COLOURS) % len(_DASHES)]


def plot(lines: Mapping[str, Sequence[Sequence[float]]], x: str, y: str, name: str) -> Markup:
    """An SVG element: lines of (x, y) with a mark at each point, in the colours ``--c0``, ``--c1``, ... of the page."""
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with style.context(["default", {**_STYLE, "svg.hashsalt": ascii(name)}]):
        figure = Figure(figsize=(4.6, 3.1))
        axes = figure.add_axes((0.14, 0.15, 0.83, 0.82))
        for points, colour in zip(lines.values(), PLOT_COLOURS, strict=False):
            xs, ys = np.array(points, float).reshape(-1, 2).T  # (n,), (n,)
            axes.plot(xs, ys, color=_FIXED[colour], linewidth=1.5, marker="o", markersize=3.5)
        for axis, label in ((axes.xaxis, x), (axes.yaxis, y)):
            axis.set_label_text(printable(label), color=_INK, parse_math=False)
            axis.set_major_locator(MaxNLocator(5, steps=_TICKS))
            axis.set_major_formatter(lambda value, _: f"{value:.4g}")
        file = StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=_NO_METADATA)
    return _inlined(file.getvalue(), name)


def _scale(axes: Axes, x: np.ndarray, raw: np.ndarray, line: np.ndarray, level: float = math.nan) -> None:
    """Set limits that single spikes do not stretch and that show ``level``, and few, short tick labels."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    bulk = raw[np.isfinite(raw)]
    low, high = np.percentile(bulk, (1, 99)) if len(bulk) >= 50 else (bulk.min(), bulk.max())
    low, high = np.nanmin([low, np.nanmin(line), level]), np.nanmax([high, np.nanmax(line), level])
    if min(bulk.min(), low) > 0 and high > 100 * low:
        axes.set_yscale("log")
        margin = (high / low) ** 0.06
        axes.set_ylim(low / margin, high * margin)
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        margin = 0.06 * (high - low) or abs(high) * 0.1 or 1
        axes.set_ylim(low - margin, high + margin)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=_TICKS))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.5g}")
    axes.set_xlim(x[0], max(x[-1], x[0] + 1))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=_TICKS))
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))


def _short(value: float) -> str:
    """A step count in at most five characters: 800, 1.5k, 20k, 3M."""
    for unit, suffix in ((1e6, "M"), (1e3, "k")):
        if math.fabs(value) >= unit:
            return f"{value / unit:g}{suffix}"
    return f"{value:g}"


def _inlined(svg: str, name: str) -> Markup:
    """The SVG element for use in a page: without namespaces, fonts, fixed size and fixed colours."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    view = re.search(r'viewBox="[\d. ]+"', svg)
    opening = f'<svg role="img" aria-label="{escape(printable(name))}" {view[0] if view else ""}>'
    svg = re.sub(r"^<svg[^>]*>", lambda _: opening, svg)
    svg = re.sub(r' id="[\w.]+_\d+"| xmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return Markup(re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", svg)))


def series_of(records: Sequence[Record]) -> Series:
    """Every measurement in the log: ``group/term`` -> [(step, value)], nan where no axis can show a value."""
    series: Series = {}
    for record in records:
        values = record.get("values")
        found = dict(values) if isinstance(values, dict) else {}
        if record.get("event") == "health":
            found = {f"health/{name.removeprefix('health/')}": value for name, value in found.items()}
        found |= {f"score/{score.get('name')}": score.get("value") for score in stored_scores(record)}
        for name, value in found.items():
            points = series.setdefault(name if "/" in name else f"other/{name}", [])
            value = finite(value)
            points.append((record["step"], value if abs(value) < _LARGEST else math.nan))
    return series


def _charts(series: Mapping[str, Points], colours: Sequence[str], levels: Mapping[str, float] | None = None) -> Markup:
    """Charts of the series that change, with a colour for each group of names; a sentence about the other series."""
    figures, still = [], []
    groups = list(dict.fromkeys(name.partition("/")[0] for name in series))
    for name, points in series.items():
        values = [value for _, value in points if not math.isnan(value)]
        group, _, term = name.partition("/")
        if len(set(values)) < 2:
            still.append(f"{group}/{term} {number(values[0] if values else None)}")
            continue
        svg = chart(points, name, (levels or {}).get(name, math.nan))
        colour = colours[groups.index(group) % len(colours)]
        figures.append({"group": group, "term": term, "last": number(points[-1][1]), "colour": colour, "svg": svg})
    words = soft(f"Without change so far: {', '.join(still)}.") if still else Markup("")
    return (part("figures", figures) if figures else Markup("")) + words


def curves(series: Series, levels: Mapping[str, float] | None = None) -> Markup:
    """Charts of every series except speed; the loss terms of turns come first. ``levels`` are dotted lines by the series' name."""
    parts: dict[str, Series] = {"Loss terms by turn": {}, **{title: {} for title in _PARTS.values()}}
    for name, points in series.items():
        group = name.partition("/")[0]
        if group != "speed":
            parts[_PARTS.get(group, "Loss terms by turn")][name] = points
    intro = "Each chart shows steps from left to right: the smoothed line, the logged values behind it, and the last value above."
    intro += (
        " A dotted line is the baseline of a score, or the floor of a score that is best near its floor."
        if levels
        else ""
    )
    drawn = [(title, _charts(found, PLOT_COLOURS, levels)) for title, found in parts.items() if found]
    return part("curves", intro, drawn) if drawn else Markup("")


def speed(series: Series, seconds: float) -> Markup:
    """Samples a second, in words and as a chart over steps."""
    chosen = {name: points for name, points in series.items() if name.startswith("speed/")}
    rates = [v for _, v in chosen.get("speed/samples_per_second", []) if not math.isnan(v)]
    words = [f"{number(round(float(np.median(rates)), 1))} samples a second (median)"] if rates else []
    words.append(f"{duration(seconds)} of training")
    return soft(", ".join(words) + ".") + _charts(chosen, ("c2",)) if chosen else Markup("")
