"""What lies in the cache, and emptying it. Nothing is removed that is in use, or that polygan did not make."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...messages import plural
from .building import PREFIX
from .folders import LOCK, Busy, hold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STORE = re.compile(r"[0-9a-f]{32}")
_SCORES = re.compile(r"(.+)-[0-9a-f]{16,}\.safetensors")


@dataclass(frozen=True)
class Kept:
    """A thing in the cache."""

    kind: str
    """``decoded data``, ``unfinished decoding``, ``learned facts``, ``for scores``, or ``fetched model``."""
    what: str
    paths: tuple[Path, ...]
    size: int
    """Bytes."""
    used: float
    """When it was last used, in seconds since 1970."""

    @property
    def in_use(self) -> bool:
        """Whether a process reads or builds it now."""
        try:
            for path in self.paths:
                if path.is_dir():
                    hold(path, make=False).close()
        except Busy:
            return True
        return False

    def plain(self) -> dict[str, Any]:
        """The facts as JSON data."""
        facts = {"kind": self.kind, "what": self.what, "bytes": self.size, "used": self.used, "in_use": self.in_use}
        return {**facts, "paths": [str(path) for path in self.paths]}

    def remove(self) -> bool:
        """Remove it from the disk, unless a process uses it."""
        for path in self.paths:
            if not path.is_dir():
                with suppress(FileNotFoundError):
                    path.unlink()
                continue
            try:
                lock = hold(path, make=False)
            except Busy:
                return False
            if not lock.works:
                try:  # Windows refuses to rename a folder in which a file is open
                    path = path.rename(path.with_name(f"{PREFIX}removed-{path.name}"))
                except PermissionError:
                    return False
            shutil.rmtree(path)
            lock.close()
        return True


def kept_in(cache: Path) -> list[Kept]:
    """Everything that polygan keeps in a cache folder, the largest first. Other files in the folder are not listed."""
    found = [*_stores(cache / "stores"), *_learned(cache / "learned"), *_scores(cache)]
    return sorted((*found, *_fetched(cache / "fetched")), key=lambda kept: -kept.size)


def _stores(folder: Path) -> Iterator[Kept]:
    for path in _inside(folder):
        if path.is_symlink() or not path.is_dir():
            continue
        size, changed = _measure(_inside(path))
        if _STORE.fullmatch(path.name) and (path / "store.json").exists():
            used = _measure([path / LOCK])[1] or changed
            yield Kept("decoded data", _samples_of(path), (path,), size, used)
        elif path.name.startswith(PREFIX):
            yield Kept("unfinished decoding", "the same command continues", (path,), size, changed)


def _samples_of(store: Path) -> str:
    with suppress(OSError, ValueError, LookupError, TypeError):
        facts = json.loads((store / "store.json").read_text("utf-8"))
        return plural(facts["count"], "sample") + (f" of {facts['source']}" if facts.get("source") else "")
    return "damaged"


def _learned(folder: Path) -> Iterator[Kept]:
    files = [path for path in _inside(folder) if path.suffix == ".json"]
    if files:
        yield Kept("learned facts", f"{len(files):,} sources", tuple(files), *_measure(files))


def _scores(folder: Path) -> Iterator[Kept]:
    for path in _inside(folder):
        if (match := _SCORES.fullmatch(path.name)) and path.is_file() and not path.is_symlink():
            yield Kept("for scores", match[1], (path,), *_measure([path]))


def _fetched(folder: Path) -> Iterator[Kept]:
    """Models that plugins brought from elsewhere: ``SCHEME/NAME/REVISION.safetensors``."""
    for path in sorted(folder.rglob("*.safetensors")):
        if path.is_file() and not path.is_symlink():
            yield Kept("fetched model", path.relative_to(folder).with_suffix("").as_posix(), (path,), *_measure([path]))


def _inside(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _measure(paths: list[Path]) -> tuple[int, float]:
    """The size of files in bytes, and when the last of them changed (0: never)."""
    size, changed = 0, 0.0
    for path in paths:
        with suppress(OSError):
            facts = path.stat()
            size, changed = size + facts.st_size, max(changed, facts.st_mtime)
    return size, changed
