"""Where samples are written: one file by its suffix, or a folder, where new samples replace the earlier samples as a whole.

A folder that samples were saved to holds a hidden list of these samples. Only files on the list, of the size on the list, are ever
replaced or removed, so a user's own files stay.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, PolyganError
from ..files import write_bytes
from ..reading import parse_json, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

LIST = ".polygan-samples.json"
"""The name of the hidden list: the path of each sample within the folder, with the sizes in bytes that it may have."""
_WRITING = ".polygan-writing"
_SUFFIX = re.compile(r"\.[a-z][a-z0-9]{0,15}")
_LARGEST = 64 << 20  # bytes of a list that is read
_EVERY = 1.0  # seconds between two lists while files are written one by one

Listed = dict[str, list[int]]


def known_suffix(name: str, known: Collection[str]) -> str:
    """The suffix of a file's name in lower case: the longest of ``known`` that ends the name (``.nii.gz``), else what follows the last dot."""
    low = name.lower()
    whole = max((suffix for suffix in known if low.endswith(suffix) and len(low) > len(suffix)), key=len, default="")
    return whole or os.path.splitext(low)[1]


def file_suffix(path: str | Path, known: Collection[str] = ()) -> str:
    """The suffix of the file that ``path`` names, in lower case; empty where ``path`` names a folder. ``known``: suffixes with several dots.

    A path names a folder if a folder is there, if the path ends in a slash, or if the path has no suffix. A suffix begins with
    a letter, so ``run-1.5`` is a folder.
    """
    suffix = known_suffix(Path(path).name, known)
    named = (
        (suffix in known or _SUFFIX.fullmatch(suffix))
        and not str(path).endswith(("/", os.sep))
        and not Path(path).is_dir()
    )
    return suffix if named else ""


def check_folder(folder: Path, suffixes: Collection[str]) -> None:
    """Refuse a folder with files of these suffixes that are no earlier samples: new samples would be mixed with these files."""
    if not folder.is_dir():
        if folder.exists():
            raise ConfigError(f"{folder} is a file; name another folder")
        return
    own = _earlier(folder)
    others = sorted(
        entry.name
        for entry in os.scandir(folder)
        if known_suffix(entry.name, suffixes) in suffixes
        and not entry.name.startswith(".")
        and not entry.is_dir(follow_symlinks=False)
        and entry.name not in own
    )
    if others:
        raise _mixed(folder, others)


def save_folder(folder: Path, write: Callable[[Path], Sequence[Path]], suffixes: Collection[str]) -> list[Path]:
    """The files that ``write(a new folder)`` made, moved into ``folder`` in place of the earlier samples there.

    The earlier samples stay until all new files are written. Raises ConfigError where new samples would be mixed with other
    files, or would replace them.
    """
    check_folder(folder, suffixes)
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / _WRITING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        names = [Path(file).relative_to(staging).as_posix() for file in write(staging)]
        _move(folder, staging, names)
    except PolyganError as error:
        raise type(error)(str(error).replace(str(staging), str(folder))) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if new:
            with suppress(OSError):  # the folder holds samples
                folder.rmdir()
    return [folder / name for name in names]


@contextmanager
def one_by_one(folder: Path, names: Sequence[str], sources: Collection[Path] = ()) -> Iterator[Callable[[str], None]]:
    """Files of these names are written into ``folder`` one after another; call the result with each name that was written.

    Only samples that polygan wrote there are replaced; other samples stay. ``sources`` are refused by their reader. Raises
    ConfigError where a file of the user would be overwritten.
    """
    earlier = _earlier(folder)
    read = {path.resolve() for path in sources}
    taken = [
        n for n in names if os.path.lexists(folder / n) and n not in earlier and (folder / n).resolve() not in read
    ]
    if taken:
        raise ConfigError(
            f"{folder / taken[0]} exists, and polygan did not write it{f' ({len(taken):,} such files)' if len(taken) > 1 else ''}; "
            "name a new folder with --out, or move the file away"
        )
    told = time.monotonic()

    def wrote(name: str) -> None:
        nonlocal told
        earlier[name] = [(folder / name).stat().st_size]
        if time.monotonic() - told > _EVERY:
            _write_list(folder, earlier)
            told = time.monotonic()

    before = dict(earlier)
    try:
        yield wrote
    finally:
        if earlier != before:
            _write_list(folder, earlier)


def _move(folder: Path, staging: Path, names: Sequence[str]) -> None:
    earlier = _earlier(folder)
    taken = sorted(name for name in names if os.path.lexists(folder / name) and name not in earlier)
    if taken:
        raise _mixed(folder, taken)
    new = {name: [(staging / name).stat().st_size] for name in names}
    # If the process dies in the middle, this list still names every sample of both.
    both = {name: [*earlier.get(name, ()), *new.get(name, ())] for name in earlier.keys() | new.keys()}
    _write_list(folder, both)
    for name in earlier.keys() - new.keys():
        (folder / name).unlink(missing_ok=True)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (staging / name).replace(folder / name)
    _write_list(folder, new)


def _mixed(folder: Path, others: Sequence[str]) -> ConfigError:
    count = f"{len(others):,} files" if len(others) > 1 else "a file"
    return ConfigError(
        f"{folder} holds {count} that polygan did not write there (e.g. {others[0]}), and samples would be mixed with "
        f"{'them' if len(others) > 1 else 'it'}; name a new folder with --out, or move the other files away"
    )


def _write_list(folder: Path, files: Mapping[str, Sequence[int]]) -> None:
    write_bytes(folder / LIST, json.dumps({"format": 1, "files": files}, indent=0).encode("utf-8", "replace"))


def _earlier(folder: Path) -> Listed:
    """The samples on the folder's list that are still there, unchanged in size. An unreadable list names nothing."""
    try:
        files = parse_json(read_text(folder / LIST, _LARGEST))["files"]
        return {name: sizes for name, sizes in files.items() if _unchanged(folder, name, sizes)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _unchanged(folder: Path, name: str, sizes: Collection[int]) -> bool:
    """Whether a listed file lies within the folder, is a regular file, and has a listed size."""
    path = folder / name
    try:
        status = path.lstat()
        within = ".." not in Path(name).parts and path.parent.resolve().is_relative_to(folder.resolve())
    except OSError:
        return False
    return within and stat.S_ISREG(status.st_mode) and status.st_size in sizes
