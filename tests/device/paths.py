"""Makes the packages of this checkout importable where nothing of it is installed."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def make_importable() -> None:
    """The checkout's packages and the tests' modules come before what is installed, in child processes too."""
    places = [ROOT / "core", *sorted(ROOT.glob("plugins/*/src")), ROOT / "tests" / "bench", ROOT / "tests"]
    words = list(map(str, places))
    sys.path[:] = words + [place for place in sys.path if place not in words]
    outside = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p not in words]
    os.environ["PYTHONPATH"] = os.pathsep.join(words + outside)
    importlib.invalidate_caches()
