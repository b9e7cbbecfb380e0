"""Pictures in one array: IDX, NPZ, and named sets."""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zipfile
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from polygan import DataError, LeftOut, left_out_files

from . import pictures
from .formats import most_unpacked
from .values.array_source import ArraySource
from .values.reading import kind_of, npy_header
from .values.windows import DTYPES

if TYPE_CHECKING:
    from pathlib import Path

    from polygan import Arrays as Handed

    from .settings import ImageSettings
    from .values.array_source import Arrays


def file_identity(*paths: Path) -> str:
    """Names, sizes and modification times, for `Source.fingerprint`."""
    return repr([(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in paths])


def class_indices(values: np.ndarray, where: str, count: int) -> tuple[np.ndarray, list[str]]:
    """Labels (n,) or (n, 1), integers or strings, as indices into their sorted names, and these names."""
    flat = values.reshape(-1) if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.ndim != 1 or flat.dtype.kind not in "iuSUb" or len(flat) != count:
        raise DataError(
            f"{where}: labels of shape {values.shape} and type {values.dtype} are not one class for each of "
            f"{count} pictures; set data.labels = none to train without labels"
        )
    names, indices = np.unique(flat, return_inverse=True)
    return indices.astype(np.int64), [n.decode() if isinstance(n, bytes) else str(n) for n in names]


# IDX, the format of MNIST (yann.lecun.com/exdb/mnist): two zero bytes, the type (8: uint8), the number of
# dimensions, each of them as a big-endian int32, then the data.


def _idx_open(path: Path) -> Any:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else path.open("rb")


def _idx_shape(path: Path, file: Any) -> tuple[int, ...]:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] != 8 or head[3] not in (1, 3, 4):
        raise DataError(f"{path}: not an IDX file of unsigned bytes (starts with {head.hex() or 'nothing'})")
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise DataError(f"{path}: cut off inside the header; fetch it again")
    return tuple(np.frombuffer(sizes, ">i4").tolist())


def _idx_read(path: Path, header_only: bool = False) -> Any:
    """The array of an IDX file, or only its shape. No more is read than the size of the file makes believable."""
    try:
        packed = path.stat().st_size
        with _idx_open(path) as file:
            shape = _idx_shape(path, file)
            expected, there = math.prod(shape), packed - 4 - 4 * len(shape)
            zipped = not isinstance(file, io.BufferedReader)
            if min(shape) < 0 or (zipped and expected > most_unpacked(packed)):
                raise DataError(
                    f"{path}: its header promises {shape} bytes, more than 200 times the size of the file; "
                    "fetch it again, or unpack it by hand if you trust it"
                )
            if not zipped and expected > there:
                raise DataError(f"{path}: {there:,} bytes where its header promises {expected:,}; fetch it again")
            if header_only:
                return shape
            data = file.read(expected)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it again") from None
    if len(data) < expected:
        raise DataError(f"{path}: {len(data):,} bytes where its header promises {expected:,}; fetch it again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def is_idx(name: str) -> bool:
    """Whether a file is named like IDX pictures: ``train-images-idx3-ubyte``, ``t10k.idx``, .gz or not."""
    return "idx3" in name or "idx4" in name or name.removesuffix(".gz").endswith(".idx")


def idx_of_folder(folder: Path, settings: ImageSettings) -> ArraySource | None:
    """The training pictures of a folder of IDX files; None for a folder without. Other files are named in ``left_out``."""
    with os.scandir(folder) as entries:  # a folder may hold a million pictures
        files = [e for e in entries if not e.name.startswith(".")]
        idx = sorted(folder / e.name for e in files if is_idx(e.name) and "labels" not in e.name and e.is_file())
    if not idx:
        return None
    used = next((p for p in idx if "train" in p.name), idx[0])
    source = idx_source(used, settings)
    if len(idx) > 1:
        other = next(p for p in idx if p != used)
        why = f"{used.name} is used; name another with --data {other}"
        source.left_out = [*source.left_out, LeftOut(len(idx) - 1, "IDX files of pictures", why, other.name)]
    known, names = {p.name for p in idx}, [e.name for e in files if "ubyte" not in e.name and e.is_file()]
    rest = Counter(os.path.splitext(name)[1].lower() or name for name in names if name not in known)
    more = left_out_files(rest, lambda _: "the folder holds IDX files, which are read")
    source.left_out = [*source.left_out, *more]
    return source


def idx_source(path: Path, settings: ImageSettings) -> ArraySource:
    """Pictures (n, H, W) or (n, H, W, C) of an IDX file; labels come from the IDX file beside it (MNIST's naming)."""
    shape = _idx_read(path, header_only=True)
    if len(shape) < 3:
        raise DataError(f"{path}: labels, not pictures; give the file whose name has images and idx3")
    stem = path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    beside = next((p for p in (path.with_name(stem + ".gz"), path.with_name(stem)) if p.is_file()), None)
    indices, classes, identity = None, None, file_identity(path)
    if beside is not None and beside != path and settings.labels == "auto":
        indices, classes = class_indices(_idx_read(beside), str(beside), shape[0])
        identity = file_identity(path, beside)
    whole = (shape[0], shape[1], shape[2], shape[3] if len(shape) == 4 else 1)
    return ArraySource(str(path), whole, lambda: (_idx_read(path), indices), classes, identity, settings, indices)


_NPZ_KEYS = (("images", "labels"), ("train_images", "train_labels"), ("x", "y"), ("x_train", "y_train"))


def npz_source(path: Path, settings: ImageSettings) -> ArraySource:
    """Pictures of an NPZ file with keys images and labels, train_images ... (MedMNIST), x and y, x_train ...

    uint8, uint16, int16 or floats; (n, H, W), (n, H, W, C) or (n, C, H, W).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")}
    except _DAMAGE as error:
        raise DataError(f"{path}: not a readable NPZ file ({error}); fetch it again") from None
    keys = next((k for k in _NPZ_KEYS if k[0] in names), None)
    if keys is None:
        known, found = ", ".join(k for k, _ in _NPZ_KEYS), ", ".join(sorted(names)) or "none"
        raise DataError(f"{path}: no array named {known}; found {found}")
    shape, dtype = _npz_member(path, keys[0], header_only=True)
    (whole, planar), kind = _picture_shape(path, shape), _kind(path, dtype)
    indices, classes = None, None
    if settings.labels == "auto" and keys[1] in names:
        indices, classes = class_indices(_npz_member(path, keys[1]), str(path), whole[0])

    def load() -> Arrays:
        images = _npz_member(path, keys[0])
        return (np.moveaxis(images, 1, -1) if planar else images).astype(kind, copy=False), indices

    return ArraySource(str(path), whole, load, classes, file_identity(path), settings, indices, kind)


def npy_source(path: Path, settings: ImageSettings) -> ArraySource:
    """Pictures of a .npy file: (n, H, W), (n, H, W, C) or (n, C, H, W) of uint8, uint16, int16 or floats, without labels."""
    try:
        with path.open("rb") as file:
            shape, dtype = npy_header(file)
            promised, there = math.prod(shape) * dtype.itemsize, path.stat().st_size - file.tell()
    except (*_DAMAGE, TypeError, SyntaxError) as error:
        raise DataError(f"{path}: not a readable .npy file ({error}); save it again with numpy.save") from None
    (whole, planar), kind = _picture_shape(path, shape), _kind(path, dtype)
    if promised != there:
        raise DataError(f"{path}: {there:,} bytes where its header promises {promised:,}; save it again")

    def load() -> Arrays:
        images = np.load(path, mmap_mode="r", allow_pickle=False)  # a picture is read when it is decoded
        images = np.moveaxis(images, 1, -1) if planar else images
        return images if images.dtype.newbyteorder("=") == kind else images.astype(kind), None

    return ArraySource(str(path), whole, load, None, file_identity(path), settings, dtype=kind)


def handed_source(arrays: Handed, settings: ImageSettings) -> ArraySource:
    """Pictures that a script hands in: (n, H, W), (n, H, W, C) or (n, C, H, W) of uint8, uint16, int16 or floats; with classes or without."""
    values, where = arrays.values, "data"
    (whole, planar), kind = _picture_shape(where, values.shape), _kind(where, values.dtype)
    images = np.moveaxis(values, 1, -1) if planar else values
    labels, classes = (arrays.labels, arrays.classes) if settings.labels == "auto" else (None, ())
    return ArraySource(
        where, whole, lambda: (images, labels), list(classes) or None, arrays.identity, settings, labels, kind
    )


def _kind(path: Path | str, dtype: np.dtype[Any]) -> str:
    """The type in which values are stored."""
    if dtype.hasobject:
        raise DataError(f"{path}: holds Python objects, which are not read; save an array of numbers")
    if kind := kind_of(dtype):
        return kind
    raise DataError(f"{path}: pictures of type {dtype}; {', '.join(DTYPES)} and other floats are read, so convert them")


_DAMAGE = (OSError, EOFError, ValueError, LookupError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)


def _npz_member(path: Path, key: str, header_only: bool = False) -> Any:
    """An array of an NPZ file, or its (shape, dtype). No more is read than the size of the file makes believable."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{key}.npy")
            most = most_unpacked(min(info.compress_size, path.stat().st_size))
            if info.file_size > most:
                raise DataError(
                    f"{path}: {key} unpacks to {info.file_size:,} bytes, more than 200 times its size; "
                    "save it again with numpy.savez if you trust it"
                )
            with archive.open(info) as member:
                shape, dtype = npy_header(member)
                promised, there = math.prod(shape) * dtype.itemsize, info.file_size - member.tell()
            if dtype.hasobject:
                raise DataError(f"{path}: {key} holds Python objects, which are not read; save an array of numbers")
            if promised != there:
                raise DataError(
                    f"{path}: {key} has {there:,} bytes where its header promises {promised:,}; fetch it again"
                )
            if header_only:
                return shape, dtype
            with archive.open(info) as member:
                return np.lib.format.read_array(member, allow_pickle=False)
    except _DAMAGE as error:
        raise DataError(f"{path}: {key} cannot be read ({error}); fetch it again") from None


def _picture_shape(path: Path | str, shape: tuple[int, ...]) -> tuple[tuple[int, int, int, int], bool]:
    """(n, H, W, C) and whether the array has the channels before height and width."""
    if len(shape) == 3:
        return (shape[0], shape[1], shape[2], 1), False
    if len(shape) == 4 and shape[3] in pictures.MODES:
        return (shape[0], shape[1], shape[2], shape[3]), False
    if len(shape) == 4 and shape[1] in pictures.MODES:
        return (shape[0], shape[2], shape[3], shape[1]), True
    if len(shape) == 4 and shape[3] < shape[1] and shape[3] < shape[2]:
        return (shape[0], shape[1], shape[2], shape[3]), False
    if len(shape) == 4 and shape[1] < shape[2] and shape[1] < shape[3]:
        return (shape[0], shape[2], shape[3], shape[1]), True
    why = "; which side holds the channels is not clear" if len(shape) == 4 else ""
    raise DataError(
        f"{path}: an array of shape {shape}{why}; (n, H, W), (n, H, W, C) and (n, C, H, W) with fewer channels than pixels a side are read"
    )
