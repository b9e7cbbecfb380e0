"""A finding: one or two sentences about a run, and how good or bad the news is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["good", "info", "warn", "bad"]


@dataclass(frozen=True)
class Finding:
    """One or two sentences about a run."""

    level: Level
    title: str
    text: str
