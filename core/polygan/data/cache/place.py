"""Where the cache lies, and the facts in it that took long to find."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ...errors import DataError, PolyganError
from ...files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..source import DataSettings

T = TypeVar("T")

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


def cache_folder(settings: DataSettings) -> Path:
    """``settings.cache``, else $POLYGAN_CACHE, else the system's folder for caches (`folder_of`)."""
    return folder_of(settings.cache)


def remembered(settings: DataSettings, identity: str, find: Callable[[], T]) -> T:
    """What ``find()`` returns (plain JSON data), from the cache if it was found before for the same ``identity``.

    ``identity`` covers all that the facts depend on: paths, sizes, modification times, settings, and the version of ``find``.
    A cache that cannot be read or written is no error: the facts are found again.
    """
    name = f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.json"
    with suppress(PolyganError, OSError, ValueError, LookupError, TypeError, RecursionError):
        return json.loads((cache_folder(settings) / "learned" / name).read_text("utf-8"))["found"]
    found = json.loads(json.dumps(find()))
    with suppress(OSError, PolyganError):
        path = cache_folder(settings) / "learned" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps({"found": found}).encode())
    return found
