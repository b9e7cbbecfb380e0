"""Data sets of Hugging Face's library `datasets`: names on its Hub, folders that the library saved, and Parquet files."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError, did_you_mean
from ..source import LeftOut, left_out_files, walk_files

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX, _PARQUET = "hf:", ".parquet"
_SAVED = ("state.json", "dataset_dict.json")
_NAME = re.compile(r"(?P<path>[^@:#]+)(?:@(?P<revision>[^:#]+))?(?::(?P<name>[^#]+))?")
_HELD_OUT = re.compile(r"(?:^|[\W_])(?:test|testing|eval|evaluation|valid|validation|val|dev)(?=[\W_])", re.IGNORECASE)


def is_table(source: str) -> bool:
    """Whether `open_table` reads a source: ``hf:...``, a Parquet file, or a folder with such files or of ``save_to_disk``.

    A folder's Parquet files lie in the folder itself, or in its subfolder ``data``.
    """
    if source.startswith(PREFIX):
        return True
    path = Path(source.partition("#")[0]).expanduser()
    if path.suffix.lower() == _PARQUET:
        return path.is_file()
    return path.is_dir() and (_saved(path) or any(any(p.glob("*.parquet")) for p in (path, path / "data")))


def open_table(source: str, install: str) -> Table:
    """The rows of ``[hf:]PATH[#SPLIT]`` or ``hf:NAME[@REVISION][:CONFIGURATION][#SPLIT]``; ``install`` is what pip installs.

    Without ``#SPLIT``, the split is ``train``, or the first one; other splits count as left out. Names of files and folders tell
    the splits of Parquet files. Raises DataError without the library, for a data set that is missing or refused, and without rows.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # both are read once, when the library is imported
    os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")
    try:
        library: Any = import_module("datasets")
    except ImportError:
        raise DataError(f"{source} needs the package datasets; pip install {install}") from None
    place, _, split = source.removeprefix(PREFIX).partition("#")
    if not place:
        raise DataError(
            f"{source} names no data set: write hf:NAME, hf:NAME@REVISION, hf:NAME:CONFIGURATION or hf:FOLDER"
        )
    path, left_out = Path(place).expanduser(), list[LeftOut]()
    try:
        with _quiet(library):
            if not path.exists() or (path.is_dir() and _saved(path)):
                found = library.load_from_disk(str(path)) if path.exists() else library.load_dataset(**_options(place))
            else:
                files, left_out = _parquet(path)
                found = library.load_dataset(*(("parquet",) if files else (str(path),)), data_files=files or None)
    except DataError:
        raise
    except Exception as error:  # network, hub, parser and cache errors of many classes
        said = " ".join(str(error).split()).removesuffix(".")
        hint = f"; name one as {PREFIX}{place}:CONFIGURATION" if "onfig name is missing" in said else ""
        raise DataError(f"{source} cannot be loaded: {said[:600]}{hint}") from error
    if isinstance(found, dict):
        if split and split not in found:
            raise DataError(
                f"{source} has no split {split!r}{did_you_mean(split, [*found])}; its splits are {', '.join(found)}"
            )
        split = split or ("train" if "train" in found else next(iter(found)))
        why = f"the split {split} is used"
        left_out += [LeftOut(len(rows), f"rows of the split {n}", why) for n, rows in found.items() if n != split]
        found = found[split]
    if not len(found):
        raise DataError(f"{source} has no rows")
    return Table(source, found, left_out)


class Table:
    """Rows of named columns, which lie on the disk and are read as they are asked for, from any thread."""

    def __init__(self, name: str, data: Any, left_out: list[LeftOut]) -> None:
        self.name, self.data, self.left_out = name, data, left_out
        """``data`` is a ``datasets.Dataset``."""
        self.kinds: dict[str, str] = {c: _kind(feature) for c, feature in data.features.items()}
        """The type of each column, such as ``"string"``, ``"ClassLabel"``, ``"Audio"``."""
        self._views: dict[tuple[str, ...], Any] = {}

    def __len__(self) -> int:
        return len(self.data)

    def fingerprint(self) -> str:
        """The library's own fingerprint of the rows."""
        return f"{self.name} {self.data._fingerprint}"

    def place(self, index: int) -> str:
        """The name of a row in messages."""
        return f"{self.name} row {index + 1:,}"

    def check(self, column: str, option: str, *kinds: str) -> str:
        """The ``column``. DataError, which names ``option`` and what is there, for a column that is missing or of other kinds."""
        fitting = [name for name, kind in self.kinds.items() if kind in kinds]
        wanted = " or ".join(kinds)
        other = f"; columns of {wanted} are {', '.join(fitting[:20])}" if fitting else f"; no column is of {wanted}"
        if column not in self.kinds:
            there = ", ".join([*self.kinds][:20])
            raise DataError(
                f"{self.name} has no column {column!r}{did_you_mean(column, [*self.kinds])}, only {there}; name one with {option}"
            )
        if column not in fitting:
            raise DataError(
                f"column {column!r} of {self.name} is of {self.kinds[column]}{other}: name one with {option}"
            )
        return column

    def row(self, index: int, *columns: str) -> dict[str, Any]:
        """Values of one row as the disk has them: pictures and sounds are ``{"bytes": ..., "path": ...}``."""
        return next(iter(self._plain(*columns)[index : index + 1].to_pylist()))

    def batches(self, *columns: str, size: int = 1000) -> Iterator[list[dict[str, Any]]]:
        """The rows in lists of at most ``size``. The number of a class becomes its name."""
        names = {c: f.names for c in columns if (f := self.data.features[c]) and self.kinds[c] == "ClassLabel"}
        for part in self._plain(*columns).iter(size):
            rows = part.to_pylist()
            for row in rows:
                row |= {c: n[row[c]] if row[c] is not None and 0 <= row[c] < len(n) else None for c, n in names.items()}
            yield rows

    def _plain(self, *columns: str) -> Any:
        if columns not in self._views:
            self._views[columns] = self.data.select_columns([*columns]).with_format("arrow")
        return self._views[columns]


def _kind(feature: Any) -> str:
    kind = type(feature).__name__
    return str(feature.dtype) if kind == "Value" else {"dict": "struct"}.get(kind, kind)


def _saved(path: Path) -> bool:
    return any((path / name).is_file() for name in _SAVED)


def _options(place: str) -> dict[str, str]:
    """What ``NAME@REVISION:CONFIGURATION`` says, as ``datasets.load_dataset`` takes it."""
    match = _NAME.fullmatch(place)
    if match is None:
        raise DataError(
            f"{PREFIX}{place} is no name of a data set: write hf:NAME, hf:NAME@REVISION or hf:NAME:CONFIGURATION"
        )
    return {name: value for name, value in match.groupdict().items() if value}


def _parquet(path: Path) -> tuple[dict[str, list[str]], list[LeftOut]]:
    """The Parquet files at a place by split, and what else lies there. Without such files, the library looks for others."""
    if path.is_file():
        return {"train": [str(path)]}, []
    names, others = walk_files(path, lambda name: name.lower().endswith(_PARQUET))
    parts: dict[str, list[str]] = {}
    for name in names:
        match = _HELD_OUT.search(name.replace(os.sep, "/"))
        parts.setdefault("test" if match else "train", []).append(str(path / name))
    return parts, left_out_files(others, lambda _: "Parquet files are read here") if names else []


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """The library's progress bars on a terminal alone."""
    shown = not sys.stderr.isatty() and getattr(library, "is_progress_bar_enabled", lambda: False)()
    if shown:
        library.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            library.enable_progress_bars()
