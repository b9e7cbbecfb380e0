"""What a part reports: rows, the table that people paste, and the verdict."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

Result = Literal["passed", "failed", "skipped", "measured"]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    part: str
    what: str
    result: Result
    detail: str = ""
    seconds: float = 0.0
    """How long the check took; 0: not timed."""
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Measured numbers by name, for device.json."""

    def line(self) -> str:
        """The row as one line for a terminal."""
        return f"{self.result:<8}  {self.part}: {self.what}" + (f" - {self.detail}" if self.detail else "")


def one_line(error: BaseException, most: int = 240) -> str:
    """An exception as one short line."""
    words = " ".join(str(error).split())
    text = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return text if len(text) <= most else text[: most - 3] + "..."


def count(rows: Sequence[Row]) -> str:
    """How many rows have which result."""
    number = {kind: sum(r.result == kind for r in rows) for kind in ("passed", "failed", "skipped", "measured")}
    return ", ".join(f"{n} {kind}" for kind, n in number.items())


def has_failed(rows: Sequence[Row], measurements: Collection[str]) -> bool:
    """Whether a check failed. A part that only measures is no check."""
    return any(row.result == "failed" and row.part not in measurements for row in rows)


def markdown(rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    """The facts of the machine and every row, as Markdown."""
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "| Part | Check | Result | Detail | Seconds |", "|---|---|---|---|---:|"]
    for row in rows:
        seconds = f"{row.seconds:.1f}" if row.seconds else ""
        cells = (row.part, row.what, f"**{row.result}**" if row.result == "failed" else row.result, row.detail, seconds)
        lines.append("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |")
    return "\n".join([*lines, "", count(rows)]) + "\n"


def write(folder: Path, rows: Sequence[Row], facts: Mapping[str, str]) -> None:
    """``device.md`` and ``device.json`` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "device.md").write_text(markdown(rows, facts), encoding="utf-8")
    found = {"facts": dict(facts), "rows": [dataclasses.asdict(row) for row in rows]}
    (folder / "device.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
