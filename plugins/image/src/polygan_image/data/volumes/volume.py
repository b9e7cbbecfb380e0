"""A volume: what its header says, and its values on demand."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from polygan import DataError

from ..values import reading
from . import planes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HELD = 2  # volumes in memory: threads that decode work on neighbouring slices


@dataclass(frozen=True)
class Volume:
    """One volume. Its values are read when they are asked for."""

    name: str
    """The file, or the folder of the series, for messages."""
    shape: tuple[int, int, int]
    """In canonical order."""
    spacing: tuple[float, float, float]
    """Millimetres between neighbours, in canonical order."""
    orientation: str
    """The directions of the file's own axes, e.g. LPS."""
    dtype: str
    """The type that holds the values in their units: uint8, uint16, int16 or float32."""
    identity: object
    """Changes with the file."""
    load: Callable[[], np.ndarray]
    """The values in canonical order, of ``dtype``. Raises DataError."""
    header: dict[str, Any]
    """What a volume of the same place is written with: `given`."""


def kind_of(low: float, high: float, slope: float, inter: float) -> str:
    """The type for values from ``low`` to ``high`` in the file, times ``slope`` plus ``inter``."""
    if not (float(slope).is_integer() and float(inter).is_integer()):
        return "float32"
    ends = sorted((low * slope + inter, high * slope + inter))
    for name in ("uint8", "int16", "uint16"):
        if np.iinfo(name).min <= ends[0] and ends[1] <= np.iinfo(name).max:
            return name
    return "float32"


def common_type(dtypes: Sequence[str]) -> str:
    """One type for the values of several volumes."""
    found = set(dtypes)
    if len(found) == 1:
        return dtypes[0]
    return "int16" if found <= {"uint8", "int16"} else "uint16" if found <= {"uint8", "uint16"} else "float32"


def scaled(values: np.ndarray, slope: float, inter: float, dtype: str) -> np.ndarray:
    """Values of a file in their units. Raises DataError for values that ``dtype`` cannot hold."""
    if values.dtype.kind == "f" and values.dtype.itemsize < 8:
        values = values.astype(np.float32)
    if (slope, inter) == (1, 0):
        return reading.as_type(values, dtype)
    if dtype == "float32":
        return (values.astype(np.float64) * slope + inter).astype(np.float32)
    return reading.as_type(values.astype(np.int64) * int(slope) + int(inter), dtype)


class Loaded:
    """The values of volumes, of which the last few stay in memory."""

    def __init__(self, volumes: Sequence[Volume]) -> None:
        self._volumes, self._lock = volumes, threading.Lock()
        self._kept: OrderedDict[int, np.ndarray | DataError] = OrderedDict()

    def __getitem__(self, index: int) -> np.ndarray:
        with self._lock:
            if index not in self._kept:
                while len(self._kept) >= _HELD:
                    self._kept.popitem(last=False)
                try:
                    self._kept[index] = self._volumes[index].load()
                except DataError as error:
                    self._kept[index] = error
            self._kept.move_to_end(index)
            found = self._kept[index]
        if isinstance(found, DataError):
            raise DataError(str(found))
        return found


def is_flat(values: np.ndarray) -> bool:
    """Whether all values of a slice are the same. NaN is no value."""
    return bool(values.min() == values.max())


def flat_slices(volume: Volume, axis: int) -> list[int]:
    """The slices without variation. Raises DataError for a volume that cannot be read."""
    values = volume.load()
    return [k for k in range(volume.shape[axis]) if is_flat(planes.picture(values, axis, k))]
