"""A build of a store on disk: a locked folder with a journal, which a later build continues to the bit."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from ...files import append_line, sync_folder
from .field_writer import FieldWriter
from .locks import NAME as LOCK
from .locks import Busy, hold
from .sums import text_sum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np

    from ..source import Field
    from .field_writer import Mark
    from .locks import Lock
    from .sums import Part

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
