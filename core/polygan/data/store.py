"""Decoded samples on disk: arrays that are mapped into memory, and their split."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import DataError
from ..files import write_text
from .cache.folders import LOCK, Busy, hold
from .cache.names import names_of
from .cache.sums import Part, sums_of, text_sum
from .source import Field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..files import Facts


class Split:
    """Some rows of a store."""

    def __init__(self, store: Store, rows: np.ndarray, name: str) -> None:
        self.store, self.rows, self.name = store, rows, name

    def __len__(self) -> int:
        return len(self.rows)

    def origins(self, rows: np.ndarray) -> list[str]:
        """The names of store rows (n,) in the data, for `Samples.origins`; empty where the data has none."""
        return names_of(self.store.path, rows.tolist())


def split_store(store: Store, held_out: float) -> dict[str, Split]:
    """``train`` and ``held_out``: a fixed pseudo-random partition of the rows, the same for every seed of a run.

    A field ``held_out`` of the store is the source's own partition, and is used instead.
    """
    rows = split_rows(len(store), held_out)
    if "held_out" in store.fields:
        order = split_rows(len(store), 0)["train"]
        marked = store.gather("held_out", order).numpy() != 0
        rows = {"train": order[~marked], "held_out": order[marked]}
        if not len(rows["train"]):
            raise DataError("every sample is held out, none is left for training; lower --data.held_out")
    return {name: Split(store, r, name) for name, r in rows.items()}


def split_rows(count: int, held_out: float) -> dict[str, np.ndarray]:
    """The rows of ``train`` and ``held_out`` in a store of ``count`` samples. A source may learn from the training rows."""
    order = np.random.Generator(np.random.Philox(key=20_260)).permutation(count)
    kept = min(round(count * held_out), count - 1)
    return {"train": order[kept:], "held_out": order[:kept]}


FORMAT = 1
_PASSING = "mend that, or name another folder with --data.cache; the decoded data was left as it is"


class DamagedStore(DataError):
    """The decoded data on disk is not what was written."""


class Store:
    """Decoded samples on disk. ``info`` are the source's facts and ``count``; ``bad`` has a line for each skipped sample.

    Arrays are mapped, not loaded. Pages that were read show as resident, but they belong to the file cache, and the system
    takes them back when memory is short. The process's own memory does not grow with the store.
    """

    def __init__(self, path: Path, facts: Facts) -> None:
        self.path, self.key = path, facts["key"]
        self.info: dict[str, Any] = facts["info"]
        self.bad: list[str] = facts["bad"]
        self.bad_rows: list[int] = facts.get("bad_rows", [])
        """The indices in the source of the samples in ``bad``; a store from an older polygan has none."""
        self.content: str = ""
        """A checksum of all arrays: the same for the same samples, whatever their files are called."""
        self.read: dict[str, Any] = {}
        """What the source said of itself before its samples were decoded: the key ``read`` of a run's data.json."""
        self.base: str = ""
        """The folder to which the paths of the data are relative; empty where the data is no path."""
        self.place: str = "source"
        """The data setting that says where the data lies."""
        self.surveyed: dict[str, Any] = {}
        """The facts of ``info`` that the recipe found in the training split (`Recipe.survey`)."""
        self.fields = {name: Field(dtype, tuple(shape)) for name, (dtype, shape) in facts["fields"].items()}
        self._count: int = facts["count"]
        self._arrays: dict[str, np.ndarray] = {}
        self._offsets: dict[str, np.ndarray] = {}
        self._parts: dict[str, Part] = {}
        try:
            self._lock = hold(path, shared=True)  # `polygan cache` leaves a store alone that is in use
            with suppress(OSError):
                os.utime(path / LOCK)  # when the store was last used
        except Busy:  # it is being removed: the mapped files stay readable
            self._lock = None
        for name, field in self.fields.items():
            array = self._mapped(name)
            if array.dtype != field.dtype or array.shape[1:] != field.shape[1 if field.ragged else 0 :]:
                raise ValueError(f"{name}.npy holds {array.dtype} {array.shape}")
            rows = len(array)
            if field.ragged:
                self._offsets[name] = offsets = np.array(self._mapped(f"{name}.offsets"))
                rows = len(offsets) - 1
                if offsets[0] != 0 or offsets[-1] != len(array) or (np.diff(offsets) < 0).any():
                    raise ValueError(f"{name}.offsets.npy does not fit {name}.npy")
            if rows != self._count:
                raise ValueError(f"{name}.npy has {rows} rows instead of {self._count}")
            self._arrays[name] = array

    def _mapped(self, name: str) -> np.ndarray:
        array = np.load(self.path / f"{name}.npy", mmap_mode="r")
        if not isinstance(array, np.memmap):
            raise ValueError(f"{name}.npy is not an array")
        self._parts[name] = Part(self.path / f"{name}.npy", array.offset, array.nbytes)
        return array.view(np.ndarray)

    @classmethod
    def open(cls, path: Path, *, verify: bool = True) -> Store:
        """The store in a folder. Raises DamagedStore for damage, and DataError where the store cannot be read now.

        ``verify`` compares every array with its checksum. A store from before there were checksums gets them.
        """
        try:
            facts = json.loads((path / "store.json").read_text(encoding="utf-8"))
            if facts["format"] != FORMAT:
                raise ValueError(f"format {facts['format']} instead of {FORMAT}")
            store = cls(path, facts)
            store._verify(facts, verify=verify)
            return store
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            reason = f"{type(error).__name__}: {error}"
        except OSError as error:  # too little memory, no permission, a failing disk: the files may be good
            text = f"decoded data in {path} cannot be read now ({error.strerror or error}): {_PASSING}"
            raise DataError(text) from None
        except MemoryError:
            raise DataError(f"memory ran out while decoded data in {path} was opened: {_PASSING}") from None
        except (EOFError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            reason = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise DamagedStore(f"decoded data in {path} is damaged ({reason}); remove the folder")

    def _verify(self, facts: Facts, *, verify: bool) -> None:
        """Compare the arrays with their checksums. Raises ValueError for another content."""
        written = facts.get("sums")
        if written is None:
            facts = with_sums(facts, sums_of(self._parts))
            with suppress(OSError):  # a cache that is only read
                write_text(self.path / "store.json", json.dumps(facts))
        elif verify:
            found = sums_of(self._parts)
            for name in self._parts:
                if found[name] != written[name]:
                    raise ValueError(f"{name}.npy is not what was written")
        if facts["check"] != _check(facts):
            raise ValueError("store.json is not what was written")
        self.content = content_of(facts["sums"])

    @property
    def nbytes(self) -> int:
        """The size of all arrays in bytes."""
        return sum(part.size for part in self._parts.values())

    def __len__(self) -> int:
        return self._count

    def gather(self, field: str, rows: np.ndarray) -> torch.Tensor:
        """A copy (n, *shape) of the rows (n,) of a field with a fixed shape."""
        if field in self._offsets:
            raise ValueError(
                f"field {field!r} is of variable length; read it with Store.item and pad it in Domain.collate"
            )
        return torch.from_numpy(np.take(self._arrays[field], rows, axis=0))

    def lengths(self, field: str, rows: np.ndarray) -> np.ndarray:
        """The lengths (n,) of the rows (n,) of a field of variable length."""
        offsets = self._offsets[field]
        return offsets[rows + 1] - offsets[rows]

    def item(self, field: str, row: int) -> np.ndarray:
        """A read-only view of one sample of a field."""
        if field in self._offsets:
            begin, end = self._offsets[field][row : row + 2]
            return self._arrays[field][begin:end]
        return self._arrays[field][row]


def with_sums(facts: Facts, sums: Mapping[str, str]) -> dict[str, Any]:
    """The content of store.json with the checksums of the arrays and of the file itself."""
    facts = json.loads(json.dumps({**facts, "sums": dict(sums)}))  # as they will be read
    return {**facts, "check": _check(facts)}


def content_of(sums: Mapping[str, str]) -> str:
    """One checksum of all arrays."""
    return text_sum(json.dumps(sorted(sums.items())))


def _check(facts: Facts) -> str:
    """The checksum of the content of store.json."""
    return text_sum(json.dumps({k: v for k, v in facts.items() if k != "check"}, sort_keys=True))
