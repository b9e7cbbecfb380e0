"""Decoded samples on disk: arrays that are mapped into memory, their writer, and their split."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import DataError
from ..files import create, to_disk
from .source import Field

if TYPE_CHECKING:
    from pathlib import Path

    from ..files import Facts


class Split:
    """Some rows of a store."""

    def __init__(self, store: Store, rows: np.ndarray, name: str) -> None:
        self.store, self.rows, self.name = store, rows, name

    def __len__(self) -> int:
        return len(self.rows)


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


class Store:
    """Decoded samples on disk. ``info`` are the source's facts and ``count``; ``bad`` has a line for each skipped sample.

    Arrays are mapped, not loaded. Pages that were read show as resident, but they belong to the file cache, and the system
    takes them back when memory is short. The process's own memory does not grow with the store.
    """

    def __init__(self, path: Path, facts: Facts) -> None:
        self.path, self.key = path, facts["key"]
        self.info: dict[str, Any] = facts["info"]
        self.bad: list[str] = facts["bad"]
        self.fields = {name: Field(dtype, tuple(shape)) for name, (dtype, shape) in facts["fields"].items()}
        self._count: int = facts["count"]
        self._arrays: dict[str, np.ndarray] = {}
        self._offsets: dict[str, np.ndarray] = {}
        for name, field in self.fields.items():
            array = np.load(path / f"{name}.npy", mmap_mode="r").view(np.ndarray)
            if array.dtype != field.dtype or array.shape[1:] != field.shape[1 if field.ragged else 0 :]:
                raise ValueError(f"{name}.npy holds {array.dtype} {array.shape}")
            rows = len(array)
            if field.ragged:
                self._offsets[name] = offsets = np.load(path / f"{name}.offsets.npy")
                rows = len(offsets) - 1
                if offsets[0] != 0 or offsets[-1] != len(array) or (np.diff(offsets) < 0).any():
                    raise ValueError(f"{name}.offsets.npy does not fit {name}.npy")
            if rows != self._count:
                raise ValueError(f"{name}.npy has {rows} rows instead of {self._count}")
            self._arrays[name] = array

    @classmethod
    def open(cls, path: Path) -> Store:
        """The store in a folder. Raises DataError where the store is damaged or of another format."""
        try:
            facts = json.loads((path / "store.json").read_text(encoding="utf-8"))
            if facts["format"] != FORMAT:
                raise ValueError(f"format {facts['format']} instead of {FORMAT}")
            return cls(path, facts)
        except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
            reason = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise DataError(f"decoded data in {path} is damaged ({reason}); remove the folder") from None

    def __len__(self) -> int:
        return self._count

    def gather(self, field: str, rows: np.ndarray) -> torch.Tensor:
        """A copy (n, *shape) of the rows (n,) of a field with a fixed shape."""
        if field in self._offsets:
            raise ValueError(
                f"field {field!r} is of variable length; read it with Store.item and pad it in Domain.collate"
            )
        return torch.from_numpy(np.take(self._arrays[field], rows, axis=0))

    def item(self, field: str, row: int) -> np.ndarray:
        """A read-only view of one sample of a field."""
        if field in self._offsets:
            begin, end = self._offsets[field][row : row + 2]
            return self._arrays[field][begin:end]
        return self._arrays[field][row]


class FieldWriter:
    """Appends the rows of one field to a .npy file. The number of rows is known only at the end."""

    def __init__(self, folder: Path, name: str, field: Field) -> None:
        self.field, self.rows = field, 0
        self.offsets: list[int] = [0]
        self.offsets_path = folder / f"{name}.offsets.npy"
        self.file = create(folder / f"{name}.npy")
        self._header()

    def __enter__(self) -> FieldWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # after a full disk, bytes are still buffered; the folder will be removed
            self.file.close()

    def _header(self) -> None:
        """Write the header. NumPy pads headers, so that a header with another number of rows has the same size."""
        shape = (self.rows, *self.field.shape[1 if self.field.ragged else 0 :])
        facts = {"descr": np.dtype(self.field.dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, facts)

    def add(self, array: np.ndarray) -> None:
        """Append one sample."""
        self.file.write(np.ascontiguousarray(array).data)
        self.rows += len(array) if self.field.ragged else 1
        if self.field.ragged:
            self.offsets.append(self.rows)

    def finish(self) -> None:
        """Complete the header, write the offsets, and make both files durable."""
        self.file.seek(0)
        self._header()
        to_disk(self.file)
        if self.field.ragged:
            with create(self.offsets_path) as file:
                np.save(file, np.array(self.offsets, np.int64))
                to_disk(file)
