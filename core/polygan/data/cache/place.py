"""Where the cache lies: the folder that the user names, else the system's folder for caches."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import DataError

FIRST = "~/.cache/polygan"
"""The folder of every system before polygan asked the system. An existing folder there stays in use."""


def folder_of(named: str) -> Path:
    """``named``, else $POLYGAN_CACHE, else the system's folder for caches. DataError where the home folder is not known.

    The system's folder is ``~/.cache/polygan`` on Linux ($XDG_CACHE_HOME changes ``~/.cache``), ``~/Library/Caches/polygan`` on
    macOS and ``%LOCALAPPDATA%\\polygan\\Cache`` on Windows. A ``~/.cache/polygan`` that exists stays in use as long as the
    system's folder does not exist.
    """
    path = Path(named or os.environ.get("POLYGAN_CACHE") or FIRST)
    try:
        place = path.expanduser()
    except RuntimeError:
        raise DataError(
            f"the cache {path} cannot be found, because the home folder is not known (HOME is not set); name a folder "
            "with --data.cache"
        ) from None
    if named or os.environ.get("POLYGAN_CACHE"):
        return place
    from platformdirs import user_cache_path

    of_system = user_cache_path("polygan", appauthor=False)
    return place if place.is_dir() and not of_system.exists() else of_system
