"""Volumes that a user hands in, slice by slice, and the volumes that are made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from polygan import ConfigError, DataError

from .. import given
from ..pairs.labels import classes_of
from ..values import users, windows
from ..values.bands import whole_pictures
from . import dicom, nifti, planes
from .place import VolumePlace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from polygan import Samples

    from .volume import Volume


def is_volume(path: Path) -> bool:
    """Whether a file, or a folder with a series, is named like a volume."""
    return path.is_dir() or nifti.is_nifti(path.name) or path.suffix.lower() in dicom.SUFFIXES


def read(path: Path, info: Mapping[str, Any], axis: str) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """Each slice (1, C, H, W) in [-1, 1] of a NIfTI file or a folder with one DICOM series, and the ``header`` of the volume.

    ``info`` are the facts of a run's given pictures. A slice has its own size, unless the run's pictures have one and the same.
    """
    if classes_of(info) is not None:
        raise DataError("is a volume, and the run takes label maps; name label maps as pictures")
    volume = _one(path)
    number, header = planes.AXES[axis], {**volume.header, "axis": axis}
    width, height = planes.size_of(volume.shape, number)
    if not info.get("keeps_size") and (width, height) != (info["width"], info["height"]):
        raise DataError(
            f"has {axis} slices of {width}x{height}, and the run makes pictures of {info['width']}x{info['height']} only; use a recipe "
            "for pictures of any size, such as image/pix2pix"
        )
    values = _typed(volume.load(), info)
    for k in range(volume.shape[number]):
        yield _unit(planes.picture(values, number, k), info), {"header": header}


def _one(path: Path) -> Volume:
    if not path.is_dir() and nifti.is_nifti(path.name):
        return nifti.opened(path)
    place = VolumePlace(path)
    if len(place.files) != 1:
        raise DataError(
            f"holds {len(place.files)} volumes ({', '.join(place.files[:3])}); name a folder with one series"
        )
    return place.volume(place.files[0])


def _typed(values: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
    """Whole numbers in a file of floats as whole numbers, where the run's values are whole."""
    if values.dtype.kind != "f" or info.get("dtype", "uint8") == "float32":
        return values
    if not np.isfinite(values).all():
        raise DataError("has NaN or infinite values; replace them with numbers")
    return values.astype(np.int64) if (values == values.round()).all() else values


def _unit(values: np.ndarray, info: Mapping[str, Any]) -> Tensor:
    if users.has_own_values(info):
        return users.formed(values[..., None], info)
    if values.dtype != np.uint8:
        low, high = values.min(), values.max()
        if values.dtype.kind == "f" or low < 0 or high > 255:
            raise DataError(
                f"has values from {low:g} to {high:g}, and the run's data has values from 0 to 255; convert the volume"
            )
    return given.take(np.ascontiguousarray(values, np.uint8), info)


def write(pieces: Iterable[Samples], path: Path) -> None:
    """Join made slices to a NIfTI volume of int16 at the place of the given volume, in the order of its file.

    Values are those of the data. Larger slices make smaller voxels at the same place. Raises ConfigError for other samples.
    """
    volume: np.ndarray | None = None
    header: dict[str, Any] = {}
    axis, scale, coded, k = 0, 1, (1.0, 0.0), 0
    for data, extra in whole_pictures(pieces):
        if volume is None:
            header, axis = _header(extra, path), planes.AXES[extra["header"]["axis"]]
            scale, coded = _scale(data, header, axis), _coding(extra)
            volume = np.zeros(_shape(header, axis, scale), np.int16)
        values = windows.to_values(data, extra)
        if values.shape[1] != 1 or k >= volume.shape[axis]:
            raise DataError(
                f"{path}: slices of {values.shape[1]} channels make no volume of single numbers; type --format npy"
            )
        planes.put(volume, axis, k, _coded(values[0, 0], *coded))
        k += 1
    if volume is None or k != volume.shape[axis]:
        raise DataError(f"{path}: {k} slices were made, and the volume has another number")
    turn = planes.turn_of(np.asarray(header["affine"]))
    filed = np.ascontiguousarray(planes.as_filed(volume, turn))
    shape = header["shape"]
    filed = filed.reshape(*filed.shape[: len(shape)], *shape[3:])
    nifti.write(filed, header if scale == 1 else _moved(header, turn, axis, scale), path, *coded)


def _header(extra: Mapping[str, Any], path: Path) -> dict[str, Any]:
    header = extra.get("header")
    if header is None:
        raise ConfigError(
            f"{path}: a volume is made from a volume alone; name another --format, or give a volume with --input"
        )
    return header


def _own(header: Mapping[str, Any]) -> tuple[planes.Turn, tuple[int, ...]]:
    turn = planes.turn_of(np.asarray(header["affine"]))
    own = (*header["shape"], 1, 1)[:3]
    return turn, turn.turned(own)


def _scale(data: Tensor, header: Mapping[str, Any], axis: int) -> int:
    """How many times larger made slices are than given slices."""
    width, height = planes.size_of(_own(header)[1], axis)
    scale = max(1, data.shape[3] // width)
    if data.shape[2:] != (height * scale, width * scale):
        raise DataError(
            f"made slices of {data.shape[3]}x{data.shape[2]} from slices of {width}x{height} make no volume; type --format npy"
        )
    return scale


def _shape(header: Mapping[str, Any], axis: int, scale: int) -> tuple[int, ...]:
    return tuple(n if i == axis else n * scale for i, n in enumerate(_own(header)[1]))


def _moved(header: dict[str, Any], turn: planes.Turn, axis: int, scale: int) -> dict[str, Any]:
    """The header for smaller voxels along the two axes of a slice."""
    smaller = np.eye(4)
    for number, own in enumerate(turn.order):
        if number != axis:
            smaller[own, own], smaller[own, 3] = 1 / scale, 0.5 / scale - 0.5
    return {**header, "affine": (np.asarray(header["affine"]) @ smaller).tolist(), "moved": True}


def _coding(extra: Mapping[str, Any]) -> tuple[float, float]:
    """(slope, inter) by which int16 holds the values of the data: 1 and 0 where the values are whole and fit."""
    dtype, (low, high) = extra.get("dtype", "uint8"), windows.window_of(extra)
    if dtype == "float32":
        return (high - low) / 65_534, (high + low) / 2
    return 1.0, 32_768.0 if high > 32_767 else 0.0


def _coded(values: np.ndarray, slope: float, inter: float) -> np.ndarray:
    return ((values.astype(np.float64) - inter) / slope).round().clip(-32_768, 32_767).astype(np.int16)
