"""What commands print: JSON, which stands alone on stdout whatever plugins print, tables, and lists of what is installed; without torch."""

from __future__ import annotations

import ctypes
import json
import math
import os
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING

from ..messages import printable, warn
from ..plugins.discovery import nothing
from ..plugins.kinds import KINDS, counted
from ..scoring.judged import wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..plugins.catalogue import Catalogue
    from ..plugins.kinds import Kind, Spec
    from ..scoring.evaluation import Score
    from .command import Arguments

_held: list[str] | None = None


def print_json(value: object) -> None:
    """Print a value as JSON. Inside `only_json` the text is kept until the block ends."""
    text = json.dumps(_plain(value), indent=1)
    if _held is None:
        print(text)
    else:
        _held.append(text)


@contextmanager
def only_json(active: bool = True) -> Iterator[None]:
    """In this block, all that reaches stdout is what `print_json` prints; everything else goes to stderr.

    A plugin may write through ``sys.stdout``, to file descriptor 1 or from C. The JSON is printed after the block, unless an
    exception ended it. ``active`` False: nothing changes.
    """
    global _held
    if not active:
        yield
        return
    _held = texts = []
    _flush()
    try:
        with _descriptor_to_stderr(), redirect_stdout(sys.stderr):
            yield
    finally:
        _held = None
    for text in texts:
        print(text)


@contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    """Let file descriptor 1 be stderr in this block."""
    try:
        kept = os.dup(1)
    except OSError:  # stdout is closed
        yield
        return
    try:
        with suppress(OSError):  # stderr is closed
            os.dup2(2, 1)
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    """Write out what Python and the C library hold back for stdout."""
    sys.stdout.flush()
    with suppress(OSError, AttributeError, TypeError):  # Windows takes no None
        ctypes.CDLL(None).fflush(None)


def _plain(value: object) -> object:
    """The value with null for numbers that JSON does not have: nan and infinity."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


COLUMNS = ("paper", "licence", "tags")
"""Fields of specs that become columns of a table; not every kind has them."""


def list_registered(catalogue: Catalogue, arguments: Arguments, _rest: Sequence[str]) -> None:
    """`polygan list`: what the loaded plugins registered."""
    kinds = [KINDS[name] for name in ("recipe", "dataset", "metric", "domain", "format", "command")]
    if arguments.json:
        rows = [_row(catalogue, kind, spec) for kind in kinds for spec in catalogue.table(kind.name).values()]
        print_json(rows)
        return
    for kind in kinds:
        specs = list(catalogue.table(kind.name).values())
        columns = [c for c in COLUMNS if any(getattr(spec, c, ()) for spec in specs)]
        table = []
        for spec in specs:
            owner = catalogue.owner(kind.name, kind.id(spec))
            cells = [_cell(getattr(spec, column)) for column in columns]
            table.append((kind.id(spec), spec.summary, *cells, owner.distribution or owner.name))
        print_table(kind.plural, ("id", "what", *columns, "from"), table)
    if not catalogue.recipes:
        print(nothing())
    _mention_failures(catalogue)


def _row(catalogue: Catalogue, kind: Kind, spec: Spec) -> dict[str, object]:
    owner = catalogue.owner(kind.name, kind.id(spec))
    return {
        "kind": kind.name,
        "id": kind.id(spec),
        "summary": spec.summary,
        "paper": getattr(spec, "paper", "") or getattr(spec, "licence", ""),
        "tags": list(getattr(spec, "tags", ())),
        "plugin": owner.name,
        "distribution": owner.distribution,
    }


def _cell(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def list_plugins(catalogue: Catalogue, arguments: Arguments, _rest: Sequence[str]) -> None:
    """`polygan plugins`: every plugin and its state."""
    if arguments.json:
        print_json([vars(p) for p in catalogue.plugins])
        return
    rows = [
        (
            p.name,
            f"{p.distribution} {p.version}".strip(),
            p.status,
            p.reason or ", ".join(counted(n, plural) for plural, n in p.provides.items() if n),
        )
        for p in catalogue.plugins
    ]
    print_table("plugins", ("name", "distribution", "status", "brings, or why not"), rows)


def print_scores(title: str, scores: Sequence[Score]) -> None:
    """Print scores as a table, each beside its floor, and beside its baseline where some score has a baseline."""
    compared = any(s.baseline for s in scores)

    def row(s: Score) -> list[str]:
        baseline = "" if s.baseline is None else f"{s.baseline[0]:.4g} ({s.baseline[1]})"
        floor = "" if s.floor is None else f"{s.floor:.4g}"
        return [s.name, s.shown(), floor, *([baseline] if compared else []), f"{wanted(s.better)} is better", s.note]

    header = ("name", "value", "floor", *(["baseline"] if compared else []), "", "note")
    print_table(title, header, [row(s) for s in scores])


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: fitted to the terminal, or one line for each row where stdout is no terminal. Without rows print nothing."""
    if not rows:
        return
    title, rows = printable(title), [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        lines = [header, *rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        print(title)
        for line in lines:
            print("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
        print()
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")
    for name in header:
        table.add_column(name, style="cyan" if name in ("id", "name") else "", no_wrap=name in ("id", "name"))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False)
    console.print(table)
    console.print()


def _mention_failures(catalogue: Catalogue) -> None:
    for plugin in catalogue.plugins:
        if plugin.status == "failed":
            warn(f"plugin {plugin.name!r} failed to load; `polygan plugins` says why")
        elif plugin.refused:
            ids = ", ".join(f"{kind} {id!r}" for kind, id in plugin.refused)
            warn(f"plugin {plugin.name!r} is loaded without {ids}; `polygan plugins` says why")
