"""Data that a script hands in, checked and in one array; and what a script sees of samples: a line, numbers, and the rows of an index."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset

from ...errors import ConfigError, DataError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_CLASSES = 10_000
_KINDS = "a tensor, a NumPy array, a list of arrays, a pandas DataFrame, or a torch Dataset with a length"


@dataclass(frozen=True)
class Arrays:
    """Samples (n, ...) with finite numbers, and the class of each where there are labels."""

    values: np.ndarray
    """(n, ...) of whole numbers, or of float32."""
    labels: np.ndarray | None = None
    """Indices (n,) into ``classes``, int64; None: no labels."""
    classes: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """A checksum of all numbers, shapes and class names."""
        found = hashlib.sha256(repr((self.values.shape, self.values.dtype.str, self.classes)).encode())
        for array in (self.values, self.labels):
            if array is not None:
                found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


def is_handed(data: object) -> bool:
    """Whether ``data`` holds samples, and is no path, no name and no group of settings."""
    return data is not None and not isinstance(data, str | bytes | Path | Mapping)


def arrays_of(data: object) -> Arrays:
    """Checked samples from what a script hands in. A pair (samples, labels), or a list of such pairs, has classes.

    Raises DataError for samples of several shapes, for values that are no finite numbers, for no samples, for labels that are
    neither whole numbers nor names, and for more than `MOST_CLASSES` classes.
    """
    samples, labels = _parted(data)
    values = _stacked(samples)
    if not len(values):
        raise DataError("the data is empty: hand over at least two batches of samples")
    if values.ndim < 2:
        raise DataError(f"the data has shape {values.shape}, one number a sample: write data[:, None] for (n, 1)")
    _check_numbers(values)
    if labels is None:
        return Arrays(values)
    indices, classes = _classes(labels, len(values))
    return Arrays(values, indices, classes)


def _parted(data: object) -> tuple[Any, Any]:
    """Samples and their labels (None: no labels)."""
    if isinstance(data, IterableDataset):
        raise DataError("an IterableDataset has no length: hand over list(dataset), or a Dataset with __getitem__")
    if isinstance(data, Dataset):
        try:
            data = [data[i] for i in range(len(data))]  # pyright: ignore[reportArgumentType]  # TypeError without a length
        except TypeError as error:
            raise DataError(
                f"the Dataset cannot be read ({one_line(error)}): give it __len__ and __getitem__"
            ) from None
    if isinstance(data, tuple):
        if len(data) != 2:
            raise DataError(f"data is a tuple of {len(data)}: hand over (samples, labels), or a list of samples")
        return data
    if isinstance(data, list) and data and all(isinstance(one, tuple) for one in data):
        if odd := next((i for i, one in enumerate(data) if len(one) != 2), None):
            raise DataError(f"sample {odd} is a tuple of {len(data[odd])}: write (sample, label)")
        return [one[0] for one in data], [one[1] for one in data]
    return data, None


def _stacked(samples: Any) -> np.ndarray:
    """One array of all samples, floats as float32."""
    if type(samples).__module__.startswith("pandas") and hasattr(samples, "columns"):
        samples = _table(samples)
    if isinstance(samples, torch.Tensor | np.ndarray):
        return _numbers(samples, "the data")
    if not isinstance(samples, Sequence) or isinstance(samples, str | bytes):
        raise DataError(f"data = {type(samples).__name__} holds no samples: hand over {_KINDS}")
    found = [_numbers(one, f"sample {i}") for i, one in enumerate(samples)]
    for i, one in enumerate(found):
        if one.shape != found[0].shape:
            raise DataError(
                f"sample {i} has shape {one.shape}, and sample 0 has {found[0].shape}: crop, pad or resize all to one shape"
            )
    return np.stack(found) if found else np.zeros(0, np.float32)


def _table(table: Any) -> np.ndarray:
    """The columns of a DataFrame side by side."""
    for name, dtype in table.dtypes.items():
        if getattr(dtype, "kind", "O") not in "iufb":
            raise DataError(
                f"column {name!r} holds {dtype}, no numbers: drop it, or turn it into numbers with pandas.get_dummies"
            )
    return table.to_numpy(dtype=np.float32)


def _numbers(value: Any, what: str) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} is no array of numbers ({one_line(error)}): hand over tensors or arrays") from None
    if array.dtype.kind not in "iufb":
        raise DataError(f"{what} has dtype {array.dtype}, no real numbers: hand over floats, or uint8 for bytes")
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array


def _check_numbers(values: np.ndarray) -> None:
    if not values.size:
        raise DataError(f"the data has shape {values.shape}, samples without numbers: hand over samples with numbers")
    if values.dtype.kind != "f":
        return
    odd = ~np.isfinite(values.reshape(len(values), -1)).all(1)
    if odd.any():
        row = int(odd.argmax())
        worst = values[row][~np.isfinite(values[row])].flat[0]
        raise DataError(
            f"sample {row} holds {worst} ({int(odd.sum()):,} of {len(values):,} samples do): drop these samples, or fill "
            "with numpy.nan_to_num"
        )


def _classes(labels: Any, count: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Indices (n,) and the names of the classes in order."""
    if isinstance(labels, torch.Tensor):
        labels = labels.detach().cpu().numpy()
    elif isinstance(labels, list):
        labels = [one.item() if isinstance(one, torch.Tensor | np.generic) and one.ndim == 0 else one for one in labels]
    array = np.asarray(labels)
    if array.shape != (count,):
        raise DataError(
            f"labels have shape {array.shape} for {count:,} samples: hand over one label a sample, ({count},)"
        )
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (array == np.floor(array))
        if not whole.all():
            row = int(whole.argmin())
            raise DataError(f"label {row} is {array[row]:g}, no whole number: hand over classes as labels.astype(int)")
        array = array.astype(np.int64)
    if array.dtype.kind not in "iubU":
        raise DataError(f"labels have dtype {array.dtype}: hand over whole numbers or names")
    names, indices = np.unique(array, return_inverse=True)
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"labels name {len(names):,} classes, more than {MOST_CLASSES:,}: hand over the samples without these labels"
        )
    return indices.reshape(-1).astype(np.int64), tuple(str(name) for name in names)


def as_numpy(data: Any) -> np.ndarray:
    """A tensor, or samples of one shape, as a NumPy array. ConfigError for anything else."""
    if torch.is_tensor(data):
        return data.detach().cpu().numpy()
    found = [one.detach().cpu().numpy() if torch.is_tensor(one) else np.asarray(one) for one in data]
    if len({one.shape for one in found}) > 1 or any(one.dtype.kind not in "iufb" for one in found):
        raise ConfigError("these samples are no numbers of one shape; iterate over them one by one")
    return np.stack(found) if found else np.zeros(0, np.float32)


def summary(samples: Any) -> Iterator[str]:
    """The parts of a line about `Samples`: how many of which domain, the shapes, the kind, the classes."""
    yield f"{len(samples):,} x {samples.domain.id if samples.domain else 'a sample without a domain'}"
    data, names = samples.data, list(samples.classes)
    sizes = {tuple(x.shape) for x in data if torch.is_tensor(x)} if isinstance(data, list | tuple) else set()
    shapes = sorted({tuple(data.shape[1:])} if torch.is_tensor(data) else sizes)
    if shapes and shapes[0]:
        first, last = ("x".join(map(str, shape)) for shape in (shapes[0], shapes[-1]))
        yield first if first == last else f"{first} to {last}"
    if samples.kind != "set":
        yield samples.kind + (f" of {samples.columns} columns" if samples.columns else "")
    if names:
        more = f", ... ({len(names):,} in all)" if len(names) > 8 else ""
        yield f"classes: {', '.join(names[:8])}{more}"


def rows_of(index: Any, n: int) -> int | list[int]:
    """A number from 0 for one of ``n`` samples, or the numbers that a slice, a sequence of numbers or a mask (n,) means."""
    if isinstance(index, slice):
        return list(range(n)[index])
    if np.ndim(index) == 0:
        return range(n)[operator.index(index)]
    picked = np.asarray(index.cpu() if torch.is_tensor(index) else index)
    if picked.dtype == bool and len(picked) != n:
        raise IndexError(f"a mask of {len(picked)} does not fit {n} samples")
    picked = np.flatnonzero(picked) if picked.dtype == bool else picked
    return [range(n)[operator.index(i)] for i in picked.tolist()]
