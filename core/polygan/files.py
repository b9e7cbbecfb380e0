"""Writing files: atomic, durable, and never through a symbolic link. Reading: numbered formats with migrations.

A run's folder may come from another person and hold links to your files. Every function here refuses to write through a link,
and `inside` refuses a place outside the run's folder. The folder that a user names may itself be a link.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Generic, TypedDict, TypeVar

from .errors import ConfigError, PolyganError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")

Facts = Mapping[str, Any]
"""A JSON object: facts by name. The code that reads a fact knows its type."""


class Written(TypedDict):
    """A file as `write_blocks` wrote it."""

    size: int
    """Bytes."""
    sha256: str
    """The checksum in hexadecimal digits."""


_NOT_THROUGH_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FLUSH = 32 << 20  # bytes between the starts of flushing, so that little is left at the end
_AHEAD = 32  # number of blocks that writing may be ahead of hashing


# Where polygan may write


def inside(folder: Path, *names: str) -> Path:
    """``folder/names...``, a place that polygan writes to. Raises ConfigError where a link leads out of ``folder``."""
    path = folder.joinpath(*names)
    try:
        within = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links that form a circle
        within = False
    if not within:
        raise ConfigError(
            f"{path} is a symbolic link that leads out of {folder}, and polygan does not write there; remove the link, or "
            "replace it with a copy of the file or folder behind it"
        )
    return path


def all_inside(folder: Path, name: str) -> Path:
    """`inside`, for a folder and for everything in it."""
    place = inside(folder, name)
    for parent, folders, files in os.walk(place):
        for entry in (*folders, *files):
            if os.path.islink(os.path.join(parent, entry)):
                inside(folder, os.path.relpath(os.path.join(parent, entry), folder))
    return place


def only_files(folder: Path, name: str) -> Path:
    """`inside`, for a folder in which polygan overwrites files: no link, pipe or device lies in it."""
    place = inside(folder, name)
    if place.is_symlink():
        regular(place)
    for parent, folders, files in os.walk(place):
        for entry in files + [f for f in folders if os.path.islink(os.path.join(parent, f))]:
            regular(place / os.path.relpath(os.path.join(parent, entry), place))
    return place


def regular(path: Path) -> Path:
    """``path``, a regular file or a free place. Raises ConfigError for a symbolic link, a folder, a pipe or a device."""
    with suppress(FileNotFoundError, NotADirectoryError):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder"))
            kind = next((name for test, name in kinds if test(mode)), "not a regular file")
            raise ConfigError(f"{path} is {kind}, and polygan writes only to regular files; remove it or rename it")
    return path


# Durability


def to_disk(file: IO[bytes] | IO[str]) -> None:
    """Flush a file and wait until the disk has it."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    if os.name == "nt":  # Windows cannot open folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# Files


def create(path: Path) -> IO[bytes]:
    """A new file to write. An existing file or link of this name is removed first, and a link is not followed."""
    with suppress(FileNotFoundError):
        path.unlink()
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOT_THROUGH_LINKS, 0o666), "wb")


@contextmanager
def replacing(*paths: Path) -> Iterator[list[Path]]:
    """Temporary files beside ``paths``, to write to. They replace ``paths`` in order when the block ends without an error.

    A reader sees the old file or the new file, never a part of a file, even after a power cut.
    """
    temporaries = [regular(path).with_name(f".{path.name}.{os.getpid()}.tmp") for path in paths]
    try:
        yield temporaries
        for temporary, path in zip(temporaries, paths, strict=True):
            temporary.replace(path)
        for folder in dict.fromkeys(path.parent for path in paths):
            sync_folder(folder)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old file or the new file, never a part, even after a power cut."""
    with replacing(path) as (temporary,), create(temporary) as file:
        file.write(data)
        to_disk(file)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of text in UTF-8. A character that UTF-8 cannot hold becomes a question mark."""
    write_bytes(path, text.encode("utf-8", "replace"))


def write_blocks(path: Path, blocks: Iterable[memoryview | bytes]) -> Written:
    """Write a new file durably and return its size and checksum. Hashing and flushing go on while blocks are written.

    Writing is not atomic: use it in a folder that is renamed into place, or under a name that `replacing` gave.
    """
    digest, size, unflushed = hashlib.sha256(), 0, 0
    pending: deque[Future[None]] = deque()
    flushes: list[Future[None]] = []
    with ThreadPoolExecutor(1) as hasher, ThreadPoolExecutor(1) as flusher, create(path) as file:
        for block in blocks:
            pending.append(hasher.submit(digest.update, block))
            file.write(block)
            size += len(block)
            unflushed += len(block)
            if unflushed >= _FLUSH:
                file.flush()
                flushes.append(flusher.submit(os.fsync, file.fileno()))
                unflushed = 0
            if len(pending) > _AHEAD:
                pending.popleft().result()
        file.flush()
        for flush in flushes:  # the system reports a failed write to only one flush
            flush.result()
        os.fsync(file.fileno())
    return {"size": size, "sha256": digest.hexdigest()}


def append_line(path: Path, line: str, *, durable: bool = True) -> None:
    """Append a line in one write. With ``durable=False`` the system decides when the line reaches the disk.

    A crash may have cut the last line of the file. The new line then begins behind a line break of its own.
    """
    new = not regular(path).exists()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _NOT_THROUGH_LINKS, 0o666)
    with os.fdopen(handle, "ab") as file:
        cut = False
        if os.lseek(handle, 0, os.SEEK_END):
            os.lseek(handle, -1, os.SEEK_END)
            cut = os.read(handle, 1) != b"\n"
        start = "\n" if cut else ""
        file.write(f"{start}{line}\n".encode())
        if durable:
            to_disk(file)
    if new and durable:
        sync_folder(path.parent)


def open_lock(path: Path) -> IO[bytes]:
    """A file to lock. A missing file is made; the content of an existing file is kept."""
    handle = os.open(regular(path), os.O_RDWR | os.O_CREAT | _NOT_THROUGH_LINKS, 0o666)
    return os.fdopen(handle, "r+b")


def reopen(path: Path) -> IO[bytes]:
    """An existing regular file to read and to write on, from its begin. A link is not followed."""
    return os.fdopen(os.open(regular(path), os.O_RDWR | _NOT_THROUGH_LINKS), "r+b")


# Folders


def replace_folder(temporary: Path, folder: Path, aside: Path) -> None:
    """Rename a finished folder into place. A folder in this place is first renamed to ``aside`` and removed at the end."""
    if folder.is_symlink():
        raise ConfigError(f"{folder} is a symbolic link, and polygan does not write through it; remove the link")
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    try:
        temporary.rename(folder)
    except OSError:
        if aside.exists():
            aside.rename(folder)
        raise
    sync_folder(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files durably, in place of an existing folder. The folder appears when all files are written."""
    temporary, aside = (folder.with_name(f".{folder.name}.{os.getpid()}{end}.tmp") for end in ("", ".old"))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        for name, data in files.items():
            with create(temporary / name) as file:
                file.write(data)
        for name in files:  # flush after all files are written, so that the disk takes the files together
            with (temporary / name).open("rb+") as file:
                os.fsync(file.fileno())
        sync_folder(temporary)
        replace_folder(temporary, folder, aside)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


# Formats


@dataclass(frozen=True)
class Format(Generic[T]):
    """A numbered format, with the migrations from older formats.

    ``migrations[n]`` turns the content of format n into the content of format n + 1. Where format n has no migration,
    ``readers[n]`` is the last version of polygan that reads format n.
    """

    name: str
    number: int
    error: type[PolyganError]
    migrations: dict[int, Callable[[T], T]] = field(default_factory=dict)
    readers: dict[int, str] = field(default_factory=dict)

    def reads(self, version: object) -> bool:
        """Whether polygan can read a format: today's, or an older format with migrations."""
        return (
            type(version) is int
            and version <= self.number
            and all(n in self.migrations for n in range(version, self.number))
        )

    def check(self, path: Path, version: object) -> int:
        """The number of a readable format. Raises ``error``, with the remedy, for any other format."""
        if type(version) is int and self.reads(version):
            return version
        found = f"{self.name} {path} has format {version!r}, and this polygan reads {self.number}"
        if type(version) is not int:
            raise self.error(f"{found}: the file is damaged, restore it")
        if version > self.number:
            raise self.error(f"{found}: upgrade polygan to use it")
        reader = self.readers.get(version)
        remedy = (
            f"polygan {reader} reads it: pip install polygan=={reader}" if reader else "use the polygan that wrote it"
        )
        raise self.error(f"{found}: the older format has no migration; {remedy}")

    def migrate(self, path: Path, version: object, content: T) -> T:
        """The content of a file, migrated to today's format."""
        for number in range(self.check(path, version), self.number):
            content = self.migrations[number](content)
        return content
