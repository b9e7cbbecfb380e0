"""Locks on folders of the cache. A build holds its folder alone; processes that read a store share the store's folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None
try:
    import msvcrt
except ImportError:  # only Windows has it
    msvcrt = None

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

NAME = ".lock"
"""The file in a folder that is locked."""
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


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
    path = folder / NAME
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
