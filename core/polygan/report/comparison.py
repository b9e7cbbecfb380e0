"""Several runs side by side: settings that differ, last scores with their floors, and curves on shared axes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigError
from ..files import write_text
from ..reading import MB, read_text
from ..record.log import read_log
from ..record.overview import RunRow, check_run, run_row
from ..scoring.judged import baseline_of, newest_scores
from ..settings.changes import flat
from ..settings.formats import parse_yaml
from .charts import MOST_RUNS, Series, overlay, run_colour, series_of
from .html import finite, number, page, part, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..scoring.judged import StoredScore

_NAMES = ("name", "runs", "format")
"""Settings that say where a run lies, not how it was trained."""
_ABSENT = "–"


class Compared(NamedTuple):
    """One of the runs."""

    name: str
    row: RunRow
    settings: Mapping[str, str]
    """Every setting as text, by its dotted name."""
    scores: Mapping[str, tuple[int, StoredScore]]
    """The step and the fields of the newest value of each score."""
    series: Series


class Comparison:
    """What two or more runs share, and where they differ. Raises ConfigError for a folder that is no run, or a run named twice."""

    def __init__(self, folders: Sequence[str | Path]) -> None:
        places = [Path(folder) for folder in folders]
        if not 2 <= len(places) <= MOST_RUNS:
            raise ConfigError(f"{len(places)} runs cannot be compared; name 2 to {MOST_RUNS} runs")
        for place in places:
            check_run(place)
        if len({place.resolve() for place in places}) < len(places):
            raise ConfigError("a run is named twice; name different runs: `polygan runs compare A B`")
        short = [place.resolve().name for place in places]
        names = short if len(set(short)) == len(short) else [str(place) for place in places]
        self.runs = [_read(place, name) for place, name in zip(places, names, strict=True)]
        self.recipes = list(dict.fromkeys(run.row.recipe for run in self.runs))

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the comparison."""
        if len(self.recipes) == 1:
            return []
        return [f"The recipes differ ({', '.join(self.recipes)}): only what all runs share is compared."]

    @property
    def settings(self) -> dict[str, list[str]]:
        """The settings that differ: the value of each run as text, by name. A run without the setting has a dash."""
        found = {name: [run.settings.get(name, _ABSENT) for run in self.runs] for name in self._names("settings")}
        return {name: values for name, values in found.items() if len(set(values)) > 1}

    def scores(self) -> dict[str, list[tuple[int, StoredScore] | None]]:
        """The newest value of each score in each run; None where a run has none."""
        return {name: [run.scores.get(name) for run in self.runs] for name in self._names("scores")}

    def score_rows(self) -> list[tuple[str, ...]]:
        """A row for each score: its name, then the value and the floor of each run in words."""
        return [
            (name, *("" if cell is None else " ".join(_words(cell)) for cell in cells))
            for name, cells in self.scores().items()
        ]

    def plain(self) -> dict[str, object]:
        """The comparison as JSON holds it, without curves."""
        scores = {
            name: [None if cell is None else {"step": cell[0], **cell[1]} for cell in cells]
            for name, cells in self.scores().items()
        }
        rows = [run.row.plain() for run in self.runs]
        return {"runs": rows, "settings": self.settings, "scores": scores, "notes": self.notes}

    def write(self, out: str | Path | None = None) -> Path:
        """Write the page to ``out`` (without ``out``: compare.html beside the first run) and return its path."""
        first = self.runs[0].row.folder
        path = Path(out) if out else (first if first.name else first.resolve()).parent / "compare.html"
        if not path.parent.is_dir():
            raise ConfigError(f"the folder of {str(path)!r} does not exist; make it, or name another file with --out")
        names = [run.name for run in self.runs]
        title = f"{', '.join(names[:-1])} and {names[-1]} compared"
        legend = part("runs_legend", [(run.name, *run_colour(i)) for i, run in enumerate(self.runs)])
        sections = (
            ("Runs", part("compared_runs", [(run.name, run.row, _step(run.row)) for run in self.runs])),
            ("Settings that differ", self._settings_table(names)),
            ("Last scores", self._score_table(names)),
            ("Curves", self._curves(legend)),
        )
        write_text(path, page(title=title, head=part("comparison_head", title, self.notes), sections=sections))
        return path

    def _settings_table(self, names: Sequence[str]) -> str:
        rows = list(self.settings.items())
        return part("side_by_side", names, rows) if rows else part("soft", "No settings differ.")

    def _score_table(self, names: Sequence[str]) -> str:
        found = self.scores()
        if not found:
            return part("soft", "The runs share no score." if len(self.recipes) > 1 else "No run has a score.")
        rows = [(name, [_cell(cell, best) for cell, best in _marked(cells)]) for name, cells in found.items()]
        return part("scores_beside", names, rows)

    def _curves(self, legend: str) -> str:
        figures = []
        for name in self._names("series"):
            lines = [run.series.get(name) for run in self.runs]
            values = {value for points in lines for _, value in points or [] if not math.isnan(value)}
            alone = all(len(points or ()) < 2 for points in lines)  # the table of scores says as much
            if name.startswith("speed/") or len(values) < 2 or alone:
                continue
            group, _, term = name.partition("/")
            figures.append({"group": group, "term": term, "last": "", "colour": "", "svg": overlay(lines, name)})
        if not figures:
            return part("soft", "The runs share no curve that changes.")
        return part("curves_beside", legend, part("figures", figures))

    def _names(self, of: str) -> list[str]:
        """The names in a mapping of the runs: of all runs together, or, for different recipes, what each run has."""
        mappings: list[Mapping[str, Any]] = [getattr(run, of) for run in self.runs]
        names = list(dict.fromkeys(name for mapping in mappings for name in mapping))
        return names if len(self.recipes) == 1 else [n for n in names if all(n in mapping for mapping in mappings)]


def compare(runs: Iterable[str | Path], out: str | Path | None = None) -> Path:
    """Write one HTML page that compares runs, and return its path.

    ``runs`` are 2 to 12 folders of runs. The page shows the settings that differ, the last scores with their floors, and the
    curves on shared axes. Without ``out``, the page is compare.html beside the first run. Raises ConfigError for a folder that
    is no run.
    """
    return Comparison(list(runs)).write(out)


def _read(folder: Path, name: str) -> Compared:
    try:
        config = parse_yaml(read_text(folder / "config.yaml", MB, errors="replace"))
        row = run_row(folder)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the settings of run {folder} cannot be read ({error}); restore config.yaml") from None
    records = read_log(folder / "log.jsonl")
    found = flat(config) if isinstance(config, dict) else ()
    settings = {name: _text(value) for name, value in found if name not in _NAMES}
    return Compared(name, row, settings, newest_scores(records), series_of(records))


def _text(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, default=str)


def _step(row: RunRow) -> str:
    return f"{row.step:,}" if row.steps is None else f"{row.step:,} of {row.steps:,}"


def _words(cell: tuple[int, StoredScore]) -> list[str]:
    """Value, standard error, floor and baseline of a score as text."""
    _, score = cell
    error, floor, baseline = finite(score.get("error")), finite(score.get("floor")), baseline_of(score)
    words = [number(score.get("value")) + ("" if math.isnan(error) else f" ± {error:.2g}")]
    words += [] if math.isnan(floor) else [f"(floor {number(floor)})"]
    return words + ([] if baseline is None else [f"({shown(baseline[1], 80)} {number(baseline[0])})"])


def _cell(cell: tuple[int, StoredScore] | None, best: bool) -> dict[str, object]:
    """A cell of the table of scores: the value, whether it is the best of its row, and what stands below."""
    if cell is None:
        return {"value": _ABSENT, "best": False, "below": []}
    value, *rest = _words(cell)
    return {"value": value, "best": best, "below": [*(word.strip("()") for word in rest), f"step {cell[0]:,}"]}


def _marked(cells: Sequence[tuple[int, StoredScore] | None]) -> list[tuple[tuple[int, StoredScore] | None, bool]]:
    """Each cell, and whether its value is the best. Nothing is marked where values are equal, or better has another sense."""
    sense = {str(cell[1].get("better")) for cell in cells if cell is not None}
    values = [math.nan if cell is None else finite(cell[1].get("value")) for cell in cells]
    known = [value for value in values if not math.isnan(value)]
    if len(known) < 2 or len(set(known)) == 1 or len(sense) != 1 or not sense <= {"lower", "higher"}:
        return [(cell, False) for cell in cells]
    best = min(known) if sense == {"lower"} else max(known)
    return [(cell, value == best) for cell, value in zip(cells, values, strict=True)]
