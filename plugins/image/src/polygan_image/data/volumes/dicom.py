"""Series of DICOM files by pydicom."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from polygan import DataError

from . import planes
from .optional import need
from .volume import Volume, common_type, kind_of, scaled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIXES = (".dcm", ".dicom", ".ima")
_TAGS = (
    "SeriesInstanceUID", "SeriesDescription", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "ImagerPixelSpacing", "SliceThickness", "Rows", "Columns", "BitsStored", "PixelRepresentation", "SamplesPerPixel", "NumberOfFrames",
    "RescaleSlope", "RescaleIntercept",
)  # fmt: skip
_CODECS = {"JPEG 2000": "pylibjpeg pylibjpeg-openjpeg", "JPEG": "pylibjpeg pylibjpeg-libjpeg"}


class _File(NamedTuple):
    """What the header of one file says."""

    path: Path
    found: Any
    key: tuple[object, ...]
    """The same for the files of one volume."""
    place: float
    """Millimetres along the direction of the slices."""


def is_dicom(folder: Path, name: str) -> bool:
    """Whether a file is named like a DICOM file, or has no suffix (or a number as its suffix) and begins like one."""
    stem, suffix = os.path.splitext(name.lower())
    if suffix in SUFFIXES:
        return True
    if (suffix and not suffix[1:].isdecimal()) or os.path.basename(stem) == "dicomdir":
        return False
    try:
        with (folder / name).open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def series_of(paths: Sequence[Path], root: Path) -> tuple[dict[str, list[_File]], dict[str, str]]:
    """The files of each series by its name below ``root``, in the order of their place; and why other files are none of a series.

    A series has the name of its folder; where a folder holds several, the series' description or number follows.
    """
    pydicom = need("pydicom", paths[0])
    groups: dict[Path, dict[tuple[object, ...], list[_File]]] = defaultdict(lambda: defaultdict(list))
    faults = {}
    for path in paths:
        try:
            file = _read(path, pydicom)
        except DataError as error:
            faults[os.path.relpath(path, root)] = str(error)
            continue
        groups[path.parent][file.key].append(file)
    named = {}
    for folder, several in groups.items():
        where = os.path.relpath(folder, root).replace(os.sep, "/")
        for number, files in enumerate(several.values()):
            own = str(getattr(files[0].found, "SeriesDescription", "") or number).replace("/", "-")
            name = where if len(several) == 1 else f"{where}/{own}"
            name = name if name not in named else f"{name}-{number}"
            named[name] = sorted(files, key=lambda f: (f.place, int(f.found.get("InstanceNumber") or 0), f.path.name))
    return named, faults


def _read(path: Path, pydicom: Any) -> _File:
    try:
        found = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
    except Exception as error:  # pydicom raises almost anything for damaged files
        raise DataError(
            f"is no DICOM file that pydicom reads ({str(error).splitlines()[0][:120]}); remove it"
        ) from None
    try:
        size = int(found.get("Rows") or 0), int(found.get("Columns") or 0)
        if not min(size):
            raise DataError("holds no pixels; remove it")
        _check_kind(found)
        across, down = _directions(found)
        place = float(np.dot(np.cross(across, down), _numbers(found, "ImagePositionPatient", (0, 0, 0))))
        turned = tuple(np.round((*across, *down), 3).tolist())
        spacing = tuple(np.round(_spacing(found), 4).tolist())
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"has a header that cannot be used ({error}); repair or remove it") from None
    return _File(path, found, (str(found.get("SeriesInstanceUID", "")), size, turned, spacing), place)


def _check_kind(found: Any) -> None:
    if int(found.get("SamplesPerPixel") or 1) != 1:
        raise DataError("holds colours, and slices of one value a pixel are read; convert it to .png")
    if int(found.get("NumberOfFrames") or 1) != 1:
        raise DataError(f"holds {found.NumberOfFrames} frames in one file; convert it to NIfTI, e.g. with dcm2niix")


def _numbers(found: Any, name: str, usual: Sequence[float]) -> np.ndarray:
    values = found.get(name)
    return np.array(usual if values is None else [float(v) for v in values], np.float64)


def _directions(found: Any) -> tuple[np.ndarray, np.ndarray]:
    """The directions (left, back, top) in which columns and rows of a file count. Without them, the picture is seen as it is."""
    both = _numbers(found, "ImageOrientationPatient", (-1, 0, 0, 0, 1, 0))
    return both[:3], both[3:]


def _spacing(found: Any) -> np.ndarray:
    """Millimetres between rows, and between columns."""
    name = "PixelSpacing" if found.get("PixelSpacing") is not None else "ImagerPixelSpacing"
    return _numbers(found, name, (1, 1))


def opened(name: str, files: Sequence[_File], max_pixels: int | None = None) -> Volume:
    """The volume of a series, from its headers. Raises DataError for slices that are no volume."""
    first = files[0].found
    rows, columns = int(first.Rows), int(first.Columns)
    if max_pixels is not None and rows * columns > max_pixels:
        raise DataError(
            f"has slices of more than data.max_pixels = {max_pixels:,} pixels; raise --data.max_pixels if you trust the files"
        )
    affine, turn = _affine(files)
    own = columns, rows, len(files)
    dtypes = [_kind(file.found) for file in files]
    dtype = common_type(dtypes)

    def load() -> np.ndarray:
        values = np.empty(own, dtype)
        for k, file in enumerate(files):
            values[:, :, k] = _pixels(file.path, (rows, columns), dtype).T
        return planes.canonical(values, turn)

    steps = np.linalg.norm(affine[:3, :3], axis=0)
    facts = [(f.path.name, (found := f.path.stat()).st_size, found.st_mtime_ns) for f in files]
    return Volume(
        name, turn.turned(own), turn.turned(steps.tolist()), turn.letters, dtype, facts, load,
        {"affine": affine.tolist(), "shape": list(own), "orientation": turn.letters},
    )  # fmt: skip


def _affine(files: Sequence[_File]) -> tuple[np.ndarray, planes.Turn]:
    """The affine (4, 4) to millimetres right, front and top of (column, row, slice), and its turn. DataError for slices at one place."""
    across, down = _directions(files[0].found)
    between_rows, between_columns = _spacing(files[0].found)
    normal = np.cross(across, down)
    steps = np.diff([file.place for file in files])
    placed = files[0].found.get("ImagePositionPatient") is not None
    if placed and len(steps) and steps.min() < 1e-3:
        one, two = (files[int(steps.argmin()) + i].path.name for i in (0, 1))
        raise DataError(
            f"has several slices at one place ({one} and {two}: times or echoes); put each volume into a folder of its own"
        )
    step = float(np.median(steps)) if placed and len(steps) else float(files[0].found.get("SliceThickness") or 1)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([across * between_columns, down * between_rows, normal * (step or 1)], 1)
    affine[:3, 3] = _numbers(files[0].found, "ImagePositionPatient", (0, 0, 0))
    if np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise DataError("has directions or spacings without volume in its headers; repair or remove it")
    affine[:2] *= -1  # DICOM counts to the left and to the back
    return affine, planes.turn_of(affine)


def _kind(found: Any) -> str:
    bits, signed = int(found.get("BitsStored") or 16), bool(int(found.get("PixelRepresentation") or 0))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return kind_of(low, high, *_slope(found))


def _slope(found: Any) -> tuple[float, float]:
    slope, inter = found.get("RescaleSlope"), found.get("RescaleIntercept")
    return float(1 if slope is None else slope), float(0 if inter is None else inter)


def _pixels(path: Path, size: tuple[int, int], dtype: str) -> np.ndarray:
    """The values (rows, columns) of one file in their units. Raises DataError, which names the file."""
    pydicom = need("pydicom", path)
    try:
        found = pydicom.dcmread(path)
    except Exception as error:
        raise DataError(f"has a file that pydicom does not read, {path.name} ({str(error)[:120]}); remove it") from None
    if "PixelData" not in found:
        raise DataError(f"has a file without pixels, {path.name}; remove it")
    syntax = getattr(found.file_meta, "TransferSyntaxUID", None)
    try:
        values = found.pixel_array
    except Exception as error:
        if syntax is not None and syntax.is_compressed and _lacks_codec(syntax):
            package = next((names for start, names in _CODECS.items() if syntax.name.startswith(start)), "python-gdcm")
            raise DataError(
                f"has a compressed file, {path.name} ({syntax.name}), and no package here unpacks it; pip install {package}"
            ) from None
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise DataError(
            f"has a file whose pixels cannot be read, {path.name} ({reason}); repair or remove it"
        ) from None
    if values.shape != size:
        raise DataError(f"has a file whose pixels have the shape {values.shape}, {path.name}; remove it")
    return scaled(values, *_slope(found), dtype)


def _lacks_codec(syntax: Any) -> bool:
    """Whether no installed package decodes a transfer syntax."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return not get_decoder(syntax).is_available
    except NotImplementedError:
        return True
