"""The files in a folder and its subfolders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def walk_files(root: Path, wanted: Callable[[str], bool]) -> tuple[list[str], set[str]]:
    """Sorted paths, relative to ``root``, of the files with ``wanted`` names; and the suffixes (or names) of all other files.

    Hidden files and folders are skipped. Links to folders are followed, but each folder is read once, at its real place. Raises
    DataError for an unreadable folder.
    """

    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename}: {error.strerror}")

    files, others = [], set()
    top, seen = os.path.realpath(root), set[str]()
    for folder, folders, names in os.walk(root, onerror=fail, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and not _inside(os.path.join(folder, f), top))
        for name in names:
            if name.startswith("."):
                continue
            if wanted(name):
                files.append(os.path.relpath(os.path.join(folder, name), root))
            else:
                others.add(os.path.splitext(name)[1].lower() or name)
    return sorted(files), others


def _inside(folder: str, top: str) -> bool:
    """Whether a folder is a link to a folder below ``top``, which is read at its real place."""
    return os.path.islink(folder) and os.path.realpath(folder).startswith(os.path.join(top, ""))
