"""What is installed, as tables and as JSON. Nothing here imports torch."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from ..messages import warn

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..plugins.catalogue import Catalogue


def list_registered(catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    """`polygan list`: what the loaded plugins registered."""
    kinds = ("recipes", "datasets", "metrics", "domains")
    rows = [
        {
            "kind": kind.removesuffix("s"),
            "id": spec.id,
            "summary": spec.summary,
            "paper": getattr(spec, "paper", "") or getattr(spec, "licence", ""),
            "plugin": catalogue.owner(kind.removesuffix("s"), spec.id).name,
            "distribution": catalogue.owner(kind.removesuffix("s"), spec.id).distribution,
        }
        for kind in kinds
        for spec in getattr(catalogue, kind).values()
    ]
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    for kind in kinds:
        of_kind = [r for r in rows if r["kind"] == kind.removesuffix("s")]
        last = {"datasets": "licence", "domains": ""}.get(kind, "paper")
        table = [
            (r["id"], r["summary"], *([r["paper"]] if last else []), r["distribution"] or r["plugin"]) for r in of_kind
        ]
        print_table(kind, ("id", "what", *([last] if last else []), "from"), table)
    _mention_failures(catalogue)


def list_plugins(catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    """`polygan plugins`: every plugin and its state."""
    if arguments.json:
        print(json.dumps([vars(p) for p in catalogue.plugins], indent=1))
        return
    rows = [
        (
            p.name,
            f"{p.distribution} {p.version}".strip(),
            p.status,
            p.reason
            or ", ".join(f"{n} {kind if n != 1 else kind.removesuffix('s')}" for kind, n in p.provides.items() if n),
        )
        for p in catalogue.plugins
    ]
    print_table("plugins", ("name", "distribution", "status", "brings, or why not"), rows)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as the terminal; elsewhere a line a row, for grep. Nothing without rows."""
    if not rows:
        return
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
