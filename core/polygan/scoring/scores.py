"""Computing the scores of metrics; a metric that fails is named and left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import PluginError, PolyganError, one_line
from ..plugins.importing import where
from .evaluation import Plot, Score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..plugins.catalogue import Catalogue
    from .evaluation import Evaluation


def compute_scores(
    catalogue: Catalogue, metrics: Iterable[str], evaluation: Evaluation, say: Callable[[str], None]
) -> tuple[dict[str, list[Score]], Mapping[str, object]]:
    """The scores by metric, and the record for the log; ``say`` gets a line about each metric that cannot be computed."""
    found: dict[str, list[object]] = {}
    for name in metrics:
        try:
            found[name] = [*catalogue.resolve(catalogue.metric(name))(evaluation)]
        except PolyganError as error:
            say(f"{name} was left out: {error}")
        except Exception as error:  # a fault of the plugin must not end the run or hide the other scores
            owner = catalogue.owner("metric", name)
            if catalogue.strict:
                raise PluginError(f"metric {name!r} of {owner} raised {one_line(error)}{where(error)}") from error
            say(f"{name} was left out: {owner} raised {one_line(error)}{where(error)}")
    scores = {name: [e for e in entries if isinstance(e, Score)] for name, entries in found.items()}
    plots = [vars(e) for entries in found.values() for e in entries if isinstance(e, Plot)]
    return scores, {"scores": [vars(s) for s in flat(scores)]} | ({"plots": plots} if plots else {})


def flat(scores: Mapping[str, list[Score]]) -> list[Score]:
    """The scores of all metrics in one list."""
    return [s for of_one in scores.values() for s in of_one]
