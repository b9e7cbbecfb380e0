"""The files in a folder and below."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def walk_files(root: Path, wanted: Callable[[str], bool]) -> tuple[list[str], set[str]]:
    """Paths relative to ``root`` of the files whose names are ``wanted``, sorted; and the suffixes (or names) of all others.

    Hidden files and folders are passed over. Links to folders are followed, but each folder is read once and where it lies. Raises
    DataError for a folder that cannot be read.
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
    """Whether a folder is a link to a folder below ``top``, which is read where it lies."""
    return os.path.islink(folder) and os.path.realpath(folder).startswith(os.path.join(top, ""))
