"""A build of a store on disk: a locked folder with a journal and a .npy file for each field, which a later build continues to the bit."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import struct
import time
import zlib
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from ...files import append_line, create, reopen, sync_folder, to_disk
from .folders import LOCK, Busy, hold
from .sums import Part, text_sum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import IO

    from ..source import Field
    from .folders import Lock

PREFIX = ".building-"
_JOURNAL = "journal.jsonl"
_EVERY = 5.0
"""Seconds of decoding that a killed build loses at most."""
QUIET = 600
"""Seconds without a write after which a build without a lock counts as dead: on systems without locks, or from an older polygan."""
KEPT = 7 * 24 * 3600
"""Seconds for which a build that can be continued is kept."""


class Building:
    """A store that is being built. Samples are added in the order of the source."""

    def __init__(self, stores: Path, key: str, fields: Mapping[str, Field]) -> None:
        self.folder, self._lock, lines = _claim(stores, key)
        self.next, self.count = 0, 0
        self.bad: dict[int, str] = {}
        """What is wrong with each sample that cannot be used, by its index in the source."""
        self._told, self._marked = 0, time.monotonic()
        self._open = ExitStack()
        marks: Mapping[str, Mark] = {}
        try:
            if lines:
                marks = lines[-1]["fields"]
                self.next, self.count = lines[-1]["next"], lines[-1]["count"]
                self.bad = {index: text for line in lines for index, text in line["bad"]}
                self._told = len(self.bad)
            self.writers = {
                name: self._open.enter_context(FieldWriter(self.folder, name, field, marks.get(name)))
                for name, field in fields.items()
            }
        except BaseException:
            self.leave(keep=False)
            raise

    @property
    def can_continue(self) -> bool:
        """Whether a later build can continue here, should this build end now."""
        return self._lock.works and (self.folder / _JOURNAL).exists()

    def add(self, sample: Mapping[str, np.ndarray]) -> None:
        """Append a decoded sample."""
        for name, writer in self.writers.items():
            writer.add(sample[name])
        self.next, self.count = self.next + 1, self.count + 1
        self._mark_now_and_then()

    def skip(self, text: str) -> None:
        """Leave out a sample that cannot be used."""
        self.bad[self.next] = text
        self.next += 1
        self._mark_now_and_then()

    def _mark_now_and_then(self) -> None:
        if time.monotonic() - self._marked >= _EVERY:
            self._mark()

    def _mark(self) -> None:
        fields = {name: writer.mark() for name, writer in self.writers.items()}
        bad = list(self.bad.items())[self._told :]
        line = json.dumps({"next": self.next, "count": self.count, "bad": bad, "fields": fields})
        append_line(self.folder / _JOURNAL, f"{text_sum(line)} {line}")
        self._told, self._marked = len(self.bad), time.monotonic()

    def finish(self) -> dict[str, Part]:
        """Complete the arrays, and say where their bytes are. The build can still be continued until `move_to`."""
        if self.can_continue:
            self._mark()
        parts: dict[str, Part] = {}
        for writer in self.writers.values():
            parts |= writer.finish()
        self._open.close()
        return parts

    def move_to(self, path: Path) -> None:
        """Rename the finished folder into place. Where a store is there already, another process was first."""
        for name in (_JOURNAL, *(writer.ends_path.name for writer in self.writers.values())):
            (self.folder / name).unlink(missing_ok=True)
        try:
            self.folder.rename(path)
            sync_folder(path.parent)
        except OSError:
            if not path.exists():
                raise

    def leave(self, *, keep: bool) -> None:
        """Release the folder. ``keep`` leaves what was built to a later build."""
        self._open.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def _claim(stores: Path, key: str) -> tuple[Path, Lock, list[dict[str, Any]]]:
    """A folder to build in, its lock, and its journal: a folder that an interrupted build left, else a new folder."""
    for folder in sorted(stores.glob(f"{PREFIX}{key}-*")):
        with suppress(Busy, OSError):
            lock = hold(folder, make=False)
            if lock.works and (lines := list(_journal(folder))):
                return folder, lock, lines
            lock.close()
    while True:
        folder = stores / f"{PREFIX}{key}-{secrets.token_hex(4)}"
        folder.mkdir()
        with suppress(Busy):  # another process swept the folder before it was locked
            return folder, hold(folder), []


def _journal(folder: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a journal. A process that is killed may leave half a line at the end."""
    with suppress(OSError, ValueError):
        for text in (folder / _JOURNAL).read_text("utf-8").splitlines():
            written, _, line = text.partition(" ")
            if text_sum(line) != written:
                return
            yield json.loads(line)


def sweep(stores: Path) -> None:
    """Remove the folders of dead builds. A build that holds its lock lives, also while it is suspended."""
    for folder in stores.glob(f"{PREFIX}*"):
        with suppress(OSError, Busy):  # another process may finish, continue or remove the folder at this moment
            quiet = time.time() - max(p.stat().st_mtime for p in (folder, *folder.iterdir()))
            lock = hold(folder, make=False)
            limit = KEPT if lock.works and (folder / _JOURNAL).exists() else QUIET
            if quiet > limit or (lock.works and limit == QUIET and (folder / LOCK).exists()):
                shutil.rmtree(folder, ignore_errors=True)
            lock.close()


class Mark(TypedDict):
    """How far a field was written, and a checksum by which a later build knows that the file is whole up to there."""

    rows: int
    size: int
    """Bytes after the file's header."""
    crc: int
    samples: int
    ends_crc: int


class FieldWriter:
    """Appends the rows of one field to a .npy file. The number of rows is known only at the end.

    ``mark`` continues files that another writer left. Raises ValueError where the files are not what was marked.
    """

    def __init__(self, folder: Path, name: str, field: Field, mark: Mark | None = None) -> None:
        self.name, self.field = name, field
        self.rows, self.size, self.crc = 0, 0, 0
        self.samples, self.ends_crc = 0, 0
        self.path, self.ends_path = folder / f"{name}.npy", folder / f"{name}.ends"
        self.offsets_path = folder / f"{name}.offsets.npy"
        self.file = create(self.path) if mark is None else reopen(self.path)
        self.ends = None
        if field.ragged:
            self.ends = create(self.ends_path) if mark is None else reopen(self.ends_path)
        if mark is None:
            self._header()
        else:
            self._continue(mark)

    def __enter__(self) -> FieldWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self.file, self.ends):
            with suppress(OSError):  # after a full disk, bytes are still buffered; the folder will be removed
                if file is not None:
                    file.close()

    def _header(self) -> None:
        """Write the header. NumPy pads headers, so that a header with another number of rows has the same size."""
        shape = (self.rows, *self.field.shape[1 if self.field.ragged else 0 :])
        facts = {"descr": np.dtype(self.field.dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, facts)

    def _continue(self, mark: Mark) -> None:
        """Cut the files to what was marked, and check that the rest is whole."""
        self._header()
        self.rows, self.size, self.crc = mark["rows"], mark["size"], mark["crc"]
        self.samples, self.ends_crc = mark["samples"], mark["ends_crc"]
        if _cut(self.file, self.file.tell(), self.size) != self.crc:
            raise ValueError(f"{self.path} is not what was marked")
        if self.ends is not None and _cut(self.ends, 0, 8 * self.samples) != self.ends_crc:
            raise ValueError(f"{self.ends_path} is not what was marked")

    def add(self, array: np.ndarray) -> None:
        """Append one sample."""
        data = np.ascontiguousarray(array).data
        self.file.write(data)
        self.crc, self.size = zlib.crc32(data, self.crc), self.size + data.nbytes
        self.rows += len(array) if self.field.ragged else 1
        self.samples += 1
        if self.ends is not None:
            end = struct.pack("<q", self.rows)
            self.ends.write(end)
            self.ends_crc = zlib.crc32(end, self.ends_crc)

    def mark(self) -> Mark:
        """Make what was added durable, and say how far it goes."""
        for file in (self.file, self.ends):
            if file is not None:
                to_disk(file)
        return Mark(rows=self.rows, size=self.size, crc=self.crc, samples=self.samples, ends_crc=self.ends_crc)

    def finish(self) -> dict[str, Part]:
        """Complete the header, write the offsets, and make both files durable. Returns where the bytes of the arrays are."""
        self.file.seek(0)
        self._header()
        parts = {self.name: Part(self.path, self.file.tell(), self.size)}
        to_disk(self.file)
        if self.ends is not None:
            self.ends.close()
            offsets = np.concatenate([np.zeros(1, np.int64), np.fromfile(self.ends_path, "<i8").astype(np.int64)])
            with create(self.offsets_path) as file:
                np.save(file, offsets)
                to_disk(file)
                parts[f"{self.name}.offsets"] = Part(self.offsets_path, file.tell() - offsets.nbytes, offsets.nbytes)
        return parts


def _cut(file: IO[bytes], start: int, size: int) -> int:
    """Cut a file after ``size`` bytes from ``start``, and return their checksum; -1 where the file is shorter."""
    if os.fstat(file.fileno()).st_size < start + size:
        return -1
    file.truncate(start + size)
    file.seek(start)
    crc, left = 0, size
    while left and (data := file.read(min(left, 1 << 20))):
        crc, left = zlib.crc32(data, crc), left - len(data)
    file.seek(0, os.SEEK_END)
    return crc
