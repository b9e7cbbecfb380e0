"""Computing the scores of metrics; a metric that fails, and a value that is not finite, is named and left out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, SupportsFloat

from ..errors import PluginError, PolyganError, one_line
from ..game.sampling import evaluating
from ..plugins.importing import where
from .evaluation import Plot, Score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..plugins.catalogue import Catalogue
    from .evaluation import Evaluation
    from .judged import Record


class Computed(NamedTuple):
    """What the metrics of one evaluation gave. Every value, floor and baseline is a finite float."""

    scores: dict[str, list[Score]]
    """The scores by metric."""
    record: Mapping[str, object]
    """The scores and plots for the log."""
    leading: Score | None
    """The first score of the metric that picks the best checkpoint; None if this score was left out."""
    picking: str
    """The id of this metric; empty where no metric could be computed."""


def compute_scores(
    catalogue: Catalogue, metrics: Iterable[str], evaluation: Evaluation, say: Callable[[str], None], picking: str = ""
) -> Computed:
    """The scores by metric, and the record for the log.

    ``picking`` is the id of the metric that picks the best checkpoint; empty: the first of ``metrics`` that can be computed.

    Metrics see the networks in evaluation mode. The names tell how samples were made where that was not by the recipe's defaults. ``say`` gets a line about each metric or value that is left out, and about what a score finds wrong. Metrics that are left out for one reason share a line.
    """
    metrics = list(metrics)
    found: dict[str, list[object]] = {}
    left_out: dict[str, list[str]] = {}  # names by reason
    for name in metrics:
        try:
            with evaluating({} if evaluation is None else evaluation.networks):  # nothing is dropped from a likelihood
                entries = [*catalogue.resolve(catalogue.metric(name))(evaluation)]
            found[name] = [_drawable(e) if isinstance(e, Plot) else e for e in _named(entries, evaluation)]
        except PolyganError as error:
            left_out.setdefault(str(error), []).append(name)
        except Exception as error:  # a fault of the plugin must not end the run or hide the other scores
            owner = catalogue.owner("metric", name)
            if catalogue.strict:
                raise PluginError(f"metric {name!r} of {owner} raised {one_line(error)}{where(error)}") from error
            left_out.setdefault(f"{owner} raised {one_line(error)}{where(error)}", []).append(name)
    for reason, names in left_out.items():
        say(f"{_listed(names)} left out: {reason}")
    checked = {name: [_checked(e, say) for e in entries if isinstance(e, Score)] for name, entries in found.items()}
    scores = {name: [s for s in of_one if s is not None] for name, of_one in checked.items()}
    for s in flat(scores):
        if s.trouble:
            say(f"{s.name}: {s.trouble}")
    plots = [vars(e) for entries in found.values() for e in entries if isinstance(e, Plot)]
    record: dict[str, object] = {"scores": [vars(s) for s in flat(scores)]}
    record |= {"plots": plots} if plots else {}
    record |= {"paired": True} if evaluation is not None and evaluation.paired else {}
    picking = picking or next((name for name in metrics if checked.get(name)), "")
    first = checked.get(picking)
    return Computed(scores, record, first[0] if first else None, picking)


def picking_metric(records: Sequence[Record]) -> str:
    """The id of the metric that picked the best checkpoint so far; empty where the log names none: then the first one did."""
    named = [found for record in records if isinstance(found := record.get("picking"), str)]
    return named[-1] if named else ""


def _named(entries: Iterable[object], evaluation: Evaluation) -> list[object]:
    """Scores and plots whose names tell the options of generation, so that nobody takes them for those of the defaults."""
    told = evaluation.told if evaluation is not None else ""
    return [replace(e, name=e.name + told) if told and isinstance(e, Score | Plot) else e for e in entries]


def flat(scores: Mapping[str, list[Score]]) -> list[Score]:
    """The scores of all metrics in one list."""
    return [s for of_one in scores.values() for s in of_one]


def _listed(names: list[str]) -> str:
    return f"{names[0]} was" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} were"


def _checked(score: Score, say: Callable[[str], None]) -> Score | None:
    """The score with plain floats; None if its value is not finite. A floor that is not finite is left out."""
    value = _finite(score.value)
    if value is None:
        say(f"{score.name} was left out: its value is {score.value}, not a finite number")
        return None
    floor = None if score.floor is None else _finite(score.floor)
    if floor is None and score.floor is not None:
        say(f"the floor of {score.name} was left out: it is {score.floor}, not a finite number")
    error = None if score.error is None else _finite(score.error)  # an error that nobody can tell is no news
    return replace(score, value=value, floor=floor, baseline=_checked_baseline(score, say), error=error)


def _checked_baseline(score: Score, say: Callable[[str], None]) -> tuple[float, str] | None:
    """The baseline with a plain float. A baseline whose value is not finite is left out."""
    if score.baseline is None:
        return None
    value, name = score.baseline
    if (known := _finite(value)) is None:
        say(f"the baseline of {score.name} ({name}) was left out: it is {value}, not a finite number")
        return None
    return known, str(name)


def _drawable(drawn: Plot) -> Plot:
    """The plot without the points that are not finite, so that the log stays valid JSON."""
    lines = {
        name: [(float(x), float(y)) for x, y in points if _finite(x) is not None and _finite(y) is not None]
        for name, points in drawn.lines.items()
    }
    return replace(drawn, lines=lines)


def _finite(value: object) -> float | None:
    """The value as a finite float; None for anything else. A plugin may return numbers of NumPy or of torch."""
    if isinstance(value, str | bytes) or not isinstance(value, SupportsFloat):
        return None
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError, RuntimeError):
        return None
    return number if math.isfinite(number) else None
