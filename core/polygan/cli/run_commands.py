"""The commands about several runs: a table of them, and a comparison. The commands about data stand behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..messages import cut, plural, printable, say
from ..settings.words import is_option, stray
from .command import JSON, Arguments, Command, Option, Place
from .data_commands import COMMANDS as DATA_COMMANDS
from .output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..plugins.catalogue import Catalogue
    from ..record.overview import RunRow


def _runs(_catalogue: Catalogue, arguments: Arguments, rest: list[str]) -> None:
    if arguments.folder == "compare":
        _compare(arguments, rest)
        return
    if arguments.help:
        print(COMMANDS["runs"].help("runs"))
        print("\n`polygan runs compare A B` compares runs; `polygan runs compare --help` shows its options.")
        return
    if rest:
        known = COMMANDS["runs"].options
        raise stray(rest, known, "polygan runs", "`polygan runs --help` lists them")
    from ..record.overview import runs_in

    folder = Path(arguments.folder or "runs")
    rows, broken = runs_in(folder)
    if arguments.json:
        found = [{"name": name, "reason": reason} for name, reason in broken.items()]
        print_json({"folder": str(folder), "runs": [row.plain() for row in rows], "broken": found})
        return
    header = ("name", "recipe", "data", "step", "best score", "state", "written")
    print_table(f"runs in {folder}", header, [_cells(row) for row in rows])
    if not rows:
        print(printable(f"no runs in {folder}; `polygan train` makes one"))
    for name, reason in broken.items():
        say(f"polygan: {folder / name} is left out: {reason}")


def _cells(row: RunRow) -> tuple[str, ...]:
    step = f"{row.step:,}" if row.steps is None else f"{row.step:,} of {row.steps:,}"
    best = "" if row.best is None else f"{row.best.name} {row.best.value:.4g}"
    return row.folder.name, row.recipe, row.data, step, best, row.state, f"{row.written:%Y-%m-%d %H:%M}"


def _compare(arguments: Arguments, rest: Sequence[str]) -> None:
    """`polygan runs compare`: the words behind it are runs."""
    chosen, names = COMPARE.read("runs compare", [*rest, *(["--json"] if arguments.json else [])])
    if arguments.help or chosen.help:
        print(COMPARE.help("runs compare A B [C ...]"))
        return
    if strange := [name for name in names if is_option(name)]:
        raise stray(strange, COMPARE.options, "polygan runs compare", "`polygan runs compare --help` lists them")
    if len(names) < 2:
        raise ConfigError("which runs? Name two or more: `polygan runs compare A B`")
    from ..report.comparison import Comparison

    found = Comparison([Path(name) for name in names])
    page = found.write(chosen.out)
    if chosen.json:
        print_json({**found.plain(), "page": str(page)})
        return
    for note in found.notes:
        print(note)
    shorts = [run.name for run in found.runs]
    settings = [(name, *(cut(value, 60) for value in values)) for name, values in found.settings.items()]
    print_table("settings that differ", ("name", *shorts), settings)
    print_table("last scores", ("name", *shorts), found.score_rows())
    if not settings:
        print("no settings differ")
    print(printable(f"{plural(len(found.runs), 'run')} compared: {page}"))


COMPARE = Command(
    "settings that differ and last scores side by side; one HTML page with curves on shared axes",
    lambda *_: None,
    (),
    {
        "out": Option(str, "the page to write; without --out, compare.html beside the first run", value="FILE.html"),
        **JSON,
    },
    open=True,
)
"""What stands behind `polygan runs compare`."""

COMMANDS: dict[str, Command] = {
    "runs": Command(
        "a table of runs: recipe, data, step, best score, state; `runs compare A B` compares runs",
        _runs,
        (Place("folder", "the folder of the runs; without FOLDER, ./runs", required=False),),
        JSON,
        open=True,
    ),
    **DATA_COMMANDS,
}
