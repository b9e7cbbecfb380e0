"""NIfTI volumes by nibabel."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from polygan import DataError

from . import planes
from .optional import need
from .volume import Volume, kind_of, scaled

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".nii", ".nii.gz")
_MOST_RATIO = 1100  # a gzip file unpacks to at most so many times its size
_DAMAGE = (OSError, EOFError, ValueError, OverflowError, zlib.error)


def is_nifti(name: str) -> bool:
    """Whether a file is named like a NIfTI volume."""
    return name.lower().endswith(SUFFIXES)


def opened(path: Path, max_pixels: int | None = None) -> Volume:
    """The volume in a file, from its header. Raises DataError, without the file's name, for a file that holds none."""
    nibabel = need("nibabel", path)
    try:
        size, changed = (found := path.stat()).st_size, found.st_mtime_ns
        kind = nibabel.Nifti1Image if _version(path, nibabel) == 1 else nibabel.Nifti2Image
        image = kind.from_filename(path)
        filed, header = tuple(int(n) for n in image.shape), image.header
        slope, inter = float(image.dataobj.slope), float(image.dataobj.inter)
        affine = np.asarray(image.affine, np.float64)
    except (*_DAMAGE, nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError) as error:
        raise DataError(f"is no NIfTI volume that nibabel reads ({_line(error)}); write it again") from None
    own = _three(filed)
    _check(path, header.get_data_dtype(), filed, affine, size)
    turn = planes.turn_of(affine)
    shape = turn.turned(own)
    if max_pixels is not None and max(np.prod(planes.size_of(shape, axis)) for axis in range(3)) > max_pixels:
        raise DataError(
            f"has slices of more than data.max_pixels = {max_pixels:,} pixels; raise --data.max_pixels if you trust the file"
        )
    dtype = _kind(header.get_data_dtype(), slope, inter)

    def load() -> np.ndarray:
        try:
            raw = np.asanyarray(image.dataobj.get_unscaled()).reshape(own)
        except (*_DAMAGE, MemoryError) as error:
            raise DataError(f"cannot be read ({_line(error)}); write it again") from None
        return planes.canonical(scaled(raw, slope, inter, dtype), turn)

    steps = np.linalg.norm(affine[:3, :3], axis=0)
    return Volume(
        str(path), shape, turn.turned(steps.tolist()), turn.letters, dtype, (size, changed), load,
        {"nifti": bytes(header.binaryblock), "affine": affine.tolist(), "shape": list(filed), "orientation": turn.letters},
    )  # fmt: skip


def _line(error: BaseException) -> str:
    """The first line of a reason."""
    return str(error).split("\n")[0][:200] or type(error).__name__


def _version(path: Path, nibabel: Any) -> int:
    """The version of a file's header, 1 or 2. Raises ValueError for other files: nibabel would write to stderr about them."""
    with nibabel.openers.ImageOpener(path) as stream:
        start = stream.read(4)
    sizes = {int.from_bytes(start, "little"), int.from_bytes(start, "big")}
    if not sizes & {348, 540}:
        raise ValueError("it does not begin like one")
    return 1 if 348 in sizes else 2


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The shape with three dimensions: one slice has two in the file, and further dimensions of 1 say nothing."""
    if len(shape) > 3 and math.prod(shape[3:]) != 1:
        by = "x".join(map(str, shape))
        raise DataError(
            f"has {len(shape)} dimensions ({by}), and a volume has 3; split it, e.g. with nibabel.four_to_three, and name the folder of its volumes"
        )
    x, y, z = (*shape, 1, 1, 1)[:3]
    return x, y, z


def _check(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], affine: np.ndarray, size: int) -> None:
    """Refuse values that are no numbers, places that are none, and headers that promise more than the file can hold."""
    if dtype.kind not in "iuf":
        raise DataError(f"holds values of type {dtype}, and single numbers are read; convert it to int16 or float32")
    if min(shape, default=0) < 1 or not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise DataError(
            "has an affine or a shape without volume in its header; write it again with the affine of the scan"
        )
    promised = math.prod(shape) * dtype.itemsize + 352
    if promised > (size * _MOST_RATIO if path.name.lower().endswith(".gz") else size):
        raise DataError(f"promises {promised:,} bytes in its header, and the file has {size:,}; copy it again")


def _kind(dtype: np.dtype[Any], slope: float, inter: float) -> str:
    if dtype.kind == "f":
        return "float32"
    return kind_of(np.iinfo(dtype).min, np.iinfo(dtype).max, slope, inter)


def write(values: np.ndarray, header: dict[str, Any], path: Path, slope: float, inter: float) -> None:
    """Write int16 ``values``, in the file's order, at the place that ``header`` says: `Volume.header`, or one without ``nifti``."""
    nibabel = need("nibabel", path)
    affine, block = np.asarray(header["affine"], np.float64), header.get("nifti")
    known: Any = None
    kind = nibabel.Nifti1Image
    if block is not None:
        kind = nibabel.Nifti2Image if len(block) > 348 else kind
        known = kind.header_class(block)
        for name in ("cal_max", "cal_min"):  # of the given values
            known[name] = 0
    image = kind(values, affine, known)
    if known is None:
        image.header.set_xyzt_units("mm")
    if "moved" in header:  # sizes of voxels have changed
        image.set_sform(affine, int(image.header["sform_code"]) or 2)
        image.set_qform(affine, int(image.header["qform_code"]), strip_shears=True)
    image.set_data_dtype(np.int16)
    image.header.set_slope_inter(slope, inter)
    image.to_filename(path)
