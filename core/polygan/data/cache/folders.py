"""The folders of the cache: where they lie, locks, and facts that took long to find."""

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
    from typing import IO

    from ..source import DataSettings

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None
try:
    import msvcrt
except ImportError:  # only Windows has it
    msvcrt = None


T = TypeVar("T")

LOCK = ".lock"
"""The file in a folder that is locked."""
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
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


class Busy(Exception):
    """Another process, or another part of this process, holds the folder."""


class Lock:
    """A lock that is held until `close`, or until the process ends, however it ends."""

    def __init__(self, handle: int | None) -> None:
        self._handle = handle

    @property
    def works(self) -> bool:
        """Whether the system really locks. Without locks (Windows, some network drives) nobody knows who else is there."""
        return self._handle is not None

    def close(self) -> None:
        """Release the folder."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def __del__(self) -> None:
        try:  # noqa: SIM105
            self.close()
        except Exception:  # while Python ends, names of modules are gone, `suppress` among them
            pass


def lock_file(file: IO[bytes]) -> None:
    """Lock an open file against other processes, at once, until the file is closed. OSError where another process has locked it.

    On a system without locks nothing is locked.
    """
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif msvcrt is not None:
        file.seek(0)
        # Windows locks bytes, also those behind the end of a file.
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]


def hold(folder: Path, *, shared: bool = False, make: bool = True) -> Lock:
    """A lock on a folder, at once. Raises `Busy` where another holds the folder, unless both share.

    ``make`` makes a missing lock file. A folder whose lock file cannot be opened gives a lock that does not work.
    """
    path = folder / LOCK
    if fcntl is None:
        return Lock(None)
    try:
        handle = _opened(path, make=make)
    except OSError:  # a cache that is only read, or a folder from an older polygan
        return Lock(None)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        same = os.path.samestat(os.fstat(handle), path.stat())
    except BlockingIOError:
        os.close(handle)
        raise Busy from None
    except FileNotFoundError:
        os.close(handle)
        raise Busy from None
    except OSError:  # a file system without locks
        os.close(handle)
        return Lock(None)
    if not same:  # the folder was removed and made anew at this moment
        os.close(handle)
        raise Busy
    return Lock(handle)


def _opened(path: Path, *, make: bool) -> int:
    try:
        return os.open(path, os.O_RDWR | _FLAGS | (os.O_CREAT if make else 0), 0o666)
    except PermissionError:  # of another user, or a disk that is only read
        return os.open(path, os.O_RDONLY | _FLAGS)
