"""Sources of samples that are not decoded yet, the settings of data, the fields of a sample, and the files in a folder."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch

from ..errors import DataError
from ..settings.ranges import Checked, ranged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np


Batch = dict[str, torch.Tensor]
"""A batch: named tensors whose first dimension is the number of samples."""


@dataclass(frozen=True, kw_only=True)
class DataSettings(Checked, group="data"):
    """Settings that every domain has. A domain adds its own in a frozen subclass."""

    paths: ClassVar[tuple[str, ...]] = ("source", "cache")
    """The names of settings that are paths. A run finds them again from another working folder, or where it was moved with them."""
    source: str = ""
    """A folder, a file, or the name of a data set (`polygan list`)."""
    held_out: float = ranged(0.1, "[0, 0.9]", usual=0.1)
    """Share of the samples that training does not see and scores use."""
    max_bad: float = ranged(0.1, "[0, 1]", usual=0.1)
    """Largest share of unreadable samples that is skipped with a warning; a larger share is an error."""
    cache: str = ""
    """Folder of decoded data; empty: $POLYGAN_CACHE, else the system's folder for caches."""


class Field(NamedTuple):
    """One array that each sample has. A leading None in ``shape`` means a variable length along the first dimension."""

    dtype: str
    shape: tuple[int | None, ...]

    @property
    def ragged(self) -> bool:
        """Whether samples differ in length."""
        return len(self.shape) > 0 and self.shape[0] is None


class Fact(NamedTuple):
    """A line about data that is not decoded yet: ``Fact("size", "64x64, from 72x72 to 640x480")``."""

    name: str
    text: str


class LeftOut(NamedTuple):
    """Things of one kind that a source does not use: ``LeftOut(12, ".svg files", "vector graphics are not read", "a/b.svg")``."""

    count: int  # pyright: ignore[reportIncompatibleMethodOverride]  # nobody counts the values of this tuple
    what: str
    why: str
    example: str = ""


class Source(ABC):
    """Samples that are not decoded yet. `polygan.data.build_store` decodes them once, in parallel threads."""

    fields: Mapping[str, Field]
    """The arrays of a sample; dtype and shape hold for every sample. A field ``held_out`` (0 or 1) is the source's own split."""
    info: dict[str, Any]
    """JSON data that networks are built from (shape, classes, rate, ...). Saved with the run."""
    left_out: Sequence[LeftOut] = ()
    """What lies at the source's place and is not used. A run's first lines and `polygan data` name each."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples, readable or not."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A string that changes whenever the decoded samples change: paths, sizes, modification times, settings."""

    @abstractmethod
    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """The arrays of one sample. Raises `polygan.DataError` (or OSError, ValueError) for an unreadable sample."""

    def name(self, index: int) -> str:
        """The name of a sample in messages: its file, or its row."""
        return f"sample {index}"

    def describe(self) -> Sequence[Fact]:
        """What a user wants to know before samples are decoded: sizes, lengths, rates, classes, shares cut away.

        A run's first lines and `polygan data` show the facts in this order. The core adds counts and splits.
        """
        return ()

    def info_without(self, skipped: Sequence[int]) -> dict[str, Any]:
        """`info` once the samples at the indices ``skipped`` turned out to be unreadable (for counts of classes)."""
        return self.info


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
