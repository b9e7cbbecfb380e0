"""The places where pictures lie as files: folders, zip and tar archives. Archives are read where they are; nothing is unpacked beside them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from threading import Lock
from typing import IO, TYPE_CHECKING, Any

from polygan import DataError, LeftOut, cache_folder, passed_over, remembered, walk_files

from .formats import ARRAY, is_array, is_picture, most_bytes, most_unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .settings import ImageSettings

TABLE = "dataset.json"
"""The file that gives the classes of pictures in the layout of StyleGAN's tools."""
_MOST_TABLE = 2**28  # bytes
_IN_MEMORY = 2**24  # bytes of a member
_PIECE = 2**20  # bytes that are read at once
_DAMAGE = (
    OSError, EOFError, ValueError, RuntimeError, LookupError, OverflowError, struct.error, zlib.error, lzma.LZMAError,
    zipfile.BadZipFile, tarfile.TarError,
)  # fmt: skip
"""What the readers of archives raise for a damaged or locked archive."""


class Place(ABC):
    """Files below one root, named by their paths with "/"."""

    root: Path
    files: list[str]
    """Pictures, sorted."""
    arrays = False
    """Whether the pictures are .npy arrays. Beside other pictures such arrays are left out."""
    others: Counter[str]
    """How many other files have which suffix (or name)."""
    left_out: Sequence[LeftOut] = ()
    """Files that the place cannot give."""

    def name(self, file: str) -> str:
        """The path of a file for messages."""
        return str(self.root / file)

    @abstractmethod
    def open(self, file: str) -> Path | IO[bytes]:
        """A path, or a stream of the bytes. Raises DataError or OSError for a file that cannot be read."""

    @abstractmethod
    def facts(self, files: Sequence[str]) -> object:
        """What changes whenever the bytes of the files change."""

    def alone(self, folder: str) -> str:
        """What to type to read one folder of the place alone."""
        return f"--data {self.root / folder}"

    @abstractmethod
    def tables(self) -> Sequence[tuple[str, bytes]]:
        """Each dataset.json that may describe the files, with what its names of the files begin with ("" or "a/b/")."""


class Folder(Place):
    """A folder and its subfolders; hidden files are skipped."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files, self.others = walk_files(root, is_picture)
        if not self.files and self.others[ARRAY]:
            self.arrays, (self.files, self.others) = True, walk_files(root, is_array)

    def open(self, file: str) -> Path:
        path = self.root / file
        if path.stat().st_size == 0:
            raise DataError("the file is empty; remove it")
        return path

    def facts(self, files: Sequence[str]) -> object:
        return [(f, *_stat(os.path.join(self.root, f))) for f in files]

    def tables(self) -> Sequence[tuple[str, bytes]]:
        path = self.root / TABLE
        if not path.is_file():
            return []
        if path.stat().st_size > _MOST_TABLE:
            raise DataError(f"{path} is too large for a table of labels; set data.labels = none to leave it out")
        return [("", path.read_bytes())]


def _stat(path: str) -> tuple[int, int]:
    """Size and modification time; a dangling link has neither, and `decode` names the link."""
    try:
        stat = os.stat(path)
    except OSError:
        return -1, 0
    return stat.st_size, stat.st_mtime_ns


class Archive(Place):
    """The members of an archive. A folder that all pictures share counts as the root."""

    def __init__(self, path: Path, settings: ImageSettings) -> None:
        self.path, self.root = path, path
        self._most = most_bytes(settings.max_pixels)
        self._folder = cache_folder(settings)
        try:
            stat = path.stat()
            self._identity = (path.name, stat.st_size, stat.st_mtime_ns)
            names = [n for n in self._members(settings) if not _of_systems(n)]
        except _DAMAGE as error:
            raise DataError(f"{path}: not a readable archive ({error}); fetch it again") from None
        self.arrays = not any(map(is_picture, names)) and any(map(is_array, names))
        pictures = [n for n in names if (is_array if self.arrays else is_picture)(n)]
        others = (n.rpartition("/")[2] for n in set(names).difference(pictures))
        self.others = Counter(os.path.splitext(n)[1].lower() or n for n in others)
        self._base = _shared_folder(pictures)
        self._all = set(names)
        self.files = sorted(n.removeprefix(self._base) for n in pictures)
        self.root = path / self._base

    @abstractmethod
    def _members(self, settings: ImageSettings) -> Sequence[str]:
        """The names of all members that can be read."""

    @abstractmethod
    def _size(self, name: str) -> int: ...

    @abstractmethod
    def _copy(self, name: str, target: IO[bytes]) -> None:
        """Write the bytes of a member, piece by piece."""

    def _read(self, name: str, most: int, remedy: str) -> IO[bytes]:
        """The bytes of a member of at most so many. Many bytes come in a nameless file: 32 threads may each read a member."""
        if self._size(name) > most:
            raise DataError(f"{self._size(name):,} bytes, and at most {most:,} are read; {remedy}")
        target = io.BytesIO() if self._size(name) <= _IN_MEMORY else _nameless(self._folder)
        try:
            self._copy(name, target)
        except _DAMAGE as error:
            target.close()
            raise DataError(f"cannot be read from the archive ({error}); fetch the archive again") from None
        target.seek(0)
        return target

    def open(self, file: str) -> IO[bytes]:
        if not self._size(self._base + file):
            raise DataError("the file is empty; remove it")
        return self._read(self._base + file, self._most, "raise --data.max_pixels if you trust the file")

    def facts(self, files: Sequence[str]) -> object:
        return self._identity, list(files)

    def alone(self, folder: str) -> str:
        """What to type to read one folder of the archive alone."""
        return f"--data and an archive of {folder} alone"

    def tables(self) -> Sequence[tuple[str, bytes]]:
        """In the shared folder, or in a folder above."""
        found, above = [], self._base
        while True:
            if above + TABLE in self._all:
                with self._read(above + TABLE, _MOST_TABLE, "set data.labels = none to leave it out") as stream:
                    found.append((above, stream.read()))
            if not above:
                return [(self._base.removeprefix(folder), data) for folder, data in found]
            above = above[: above.rfind("/", 0, -1) + 1]


def _nameless(folder: Path) -> IO[bytes]:
    """A file without a name, which vanishes with the process, however the process ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise DataError(
            f"{folder} cannot hold what an archive unpacks to ({error.strerror}): name another folder with --data.cache"
        ) from None


def _shared_folder(names: Sequence[str]) -> str:
    """The longest "a/b/" that all names begin with."""
    first, last = min(names, default=""), max(names, default="")
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: first.rfind("/", 0, same) + 1]


def _of_systems(name: str) -> bool:
    return any(map(passed_over, name.split("/")))


class Zip(Archive):
    """A zip archive. Threads share one open file; decompression runs in parallel."""

    def _members(self, settings: ImageSettings) -> Sequence[str]:
        self._zip, self._lock = zipfile.ZipFile(self.path), Lock()
        self._infos = {i.filename: i for i in self._zip.infolist() if not i.is_dir()}
        locked = [name for name, info in self._infos.items() if info.flag_bits & 1]
        if locked:
            self.left_out = [LeftOut(len(locked), "encrypted files", "unpack the archive with its password", locked[0])]
        return [name for name, info in self._infos.items() if not info.flag_bits & 1]

    def _size(self, name: str) -> int:
        return self._infos[name].file_size

    def _copy(self, name: str, target: IO[bytes]) -> None:
        with self._lock:
            member = self._zip.open(self._infos[name])
        try:
            shutil.copyfileobj(member, target, _PIECE)
        finally:
            with self._lock:
                member.close()


class Tar(Archive):
    """A tar archive, read by the offsets of its members. A compressed tar is first unpacked into a nameless file beside the cache.

    The offsets are kept in the cache: a run whose pictures are decoded already unpacks nothing.
    """

    _file: IO[bytes] | None = None

    def _members(self, settings: ImageSettings) -> Sequence[str]:
        self._lock = Lock()
        found: dict[str, Any] = remembered(settings, repr(("members of a tar", 1, self._identity)), self._index)
        self._places: dict[str, tuple[int, int]] = {n: (start, size) for n, start, size in found["members"]}
        if links := found["links"]:
            why = "links and sparse files in an archive are not followed"
            self.left_out = [LeftOut(len(links), "links", why, links[0])]
        return list(self._places)

    def _index(self) -> dict[str, Any]:
        """The place of each member, and the names of links."""
        members: dict[str, list[Any]] = {}
        links: list[str] = []
        with tarfile.open(fileobj=self._stream(), mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # pyright: ignore[reportAttributeAccessIssue] - a million members would fill the memory
                name = member.name.removeprefix("./")
                if member.isreg() and not member.issparse():
                    members[name] = [name, member.offset_data, member.size]
                elif not member.isdir() and not _of_systems(name):
                    links.append(name)
        return {"members": list(members.values()), "links": links}

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def _stream(self) -> IO[bytes]:
        """The file that holds the members' bytes."""
        if self._file is None:
            unpack = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
            with self.path.open("rb") as file:
                start = file.read(2)
            self._file = self._unpacked(unpack[start]) if start in unpack else self.path.open("rb")
        return self._file

    def _unpacked(self, unpack: Any) -> IO[bytes]:
        most, done = most_unpacked(self.path.stat().st_size), 0
        target = _nameless(self._folder)
        with unpack(self.path, "rb") as source:
            while piece := source.read(_PIECE):
                done += len(piece)
                if done > most:
                    raise DataError(
                        f"{self.path}: unpacks to more than {most:,} bytes, 200 times its size; unpack it by hand if you trust it"
                    )
                target.write(piece)
        target.seek(0)
        return target

    def _size(self, name: str) -> int:
        return self._places[name][1]

    def _copy(self, name: str, target: IO[bytes]) -> None:
        start, size = self._places[name]
        for offset in range(start, start + size, _PIECE):
            wanted = min(_PIECE, start + size - offset)
            with self._lock:
                stream = self._stream()
                stream.seek(offset)
                piece = stream.read(wanted)
            if len(piece) < wanted:
                raise EOFError("the archive is cut off here")
            target.write(piece)
