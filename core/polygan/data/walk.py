"""The files in a folder and its subfolders."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from ..errors import DataError
from .source import LeftOut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


_OF_SYSTEMS = frozenset(
    ("@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found", "Thumbs.db", "desktop.ini")
)
"""Names of files and folders that operating systems and storage servers leave beside a user's files."""


def walk_files(root: Path, wanted: Callable[[str], bool]) -> tuple[list[str], Counter[str]]:
    """Sorted paths, relative to ``root``, of the files with ``wanted`` names; and how many other files have which suffix (or name).

    Hidden files and folders are skipped, and so are those that systems leave (``@eaDir``, ``__MACOSX``). Links to folders are followed, but each folder is read once, at its real place. Raises
    DataError for an unreadable folder.
    """

    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename}: {error.strerror}")

    files, others = [], Counter[str]()
    top, seen = os.path.realpath(root), set[str]()
    for folder, folders, names in os.walk(root, onerror=fail, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not passed_over(f) and not _inside(os.path.join(folder, f), top))
        for name in names:
            if passed_over(name):
                continue
            if wanted(name):
                files.append(os.path.relpath(os.path.join(folder, name), root))
            else:
                others[os.path.splitext(name)[1].lower() or name] += 1
    return sorted(files), others


def left_out_files(others: Mapping[str, int], why: Callable[[str], str]) -> list[LeftOut]:
    """What `walk_files` counted beside the wanted files, a line for each suffix, the most frequent first.

    ``why`` says why files of a suffix are not used. Files without a suffix share a line.
    """
    found = sorted(
        ((n, s) for s, n in others.items() if s.startswith(".") and n > 0), key=lambda item: (-item[0], item[1])
    )
    lines = [LeftOut(n, f"{suffix} {'file' if n == 1 else 'files'}", why(suffix)) for n, suffix in found]
    plain = sorted(name for name, n in others.items() if not name.startswith(".") and n > 0)
    if plain:
        count = sum(others[name] for name in plain)
        kind = "file without a suffix" if count == 1 else "files without a suffix"
        lines.append(LeftOut(count, kind, why(""), plain[0]))
    return lines


def passed_over(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or is one that systems leave beside a user's files."""
    return name.startswith(".") or name in _OF_SYSTEMS


def _inside(folder: str, top: str) -> bool:
    """Whether a folder is a link to a folder below ``top`` that the walk visits anyway, since no part of its path is hidden."""
    real, above = os.path.realpath(folder), os.path.join(top, "")
    if not (os.path.islink(folder) and real.startswith(above)):
        return False
    return not any(part.startswith(".") for part in real.removeprefix(above).split(os.sep))
