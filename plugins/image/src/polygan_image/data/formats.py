"""Which files Pillow reads here, how a file is opened, within which limits, and why other files are left out."""

from __future__ import annotations

import os
import struct
from contextlib import contextmanager
from threading import Lock
from typing import IO, TYPE_CHECKING

from PIL import Image, UnidentifiedImageError, features

from polygan import DataError, LeftOut, Room, left_out_files

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

_NO_PICTURES = frozenset(
    (
        "BUFR",
        "EPS",
        "FITS",
        "FLI",
        "FPX",
        "GRIB",
        "HDF5",
        "IMT",
        "IPTC",
        "MCIDAS",
        "MIC",
        "MPEG",
        "PDF",
        "SPIDER",
        "WMF",
        "XVTHUMB",
    )
)
"""Formats that Pillow knows and that are left out: video, science, stubs without a decoder, and drawings that start Ghostscript."""
_LIBRARIES = {"AVIF": "avif", "JPEG": "jpg", "JPEG2000": "jpg_2000", "WEBP": "webp"}
"""Formats that a build of Pillow may lack."""
_READ_WHOLE = frozenset(("AVIF", "WEBP"))
"""Formats whose files Pillow reads into memory before it knows their size."""
_USUAL = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def _formats() -> tuple[str, ...]:
    """The formats that are read, those that are known by their first bytes before the rest."""
    Image.preinit()
    Image.init()
    missing = {name for name in _LIBRARIES if name in Image.ID and not features.check(_LIBRARIES[name])}
    known = [name for name in Image.ID if name not in _NO_PICTURES | missing]
    return tuple(sorted(known, key=lambda name: Image.OPEN[name][1] is None))


FORMATS = _formats()


def _suffixes() -> tuple[str, ...]:
    opened_as = {"MPO": "JPEG"}  # Pillow opens the pictures of some cameras as JPEG
    known = {s for s, name in Image.registered_extensions().items() if opened_as.get(name, name) in FORMATS}
    return (*(s for s in _USUAL if s in known), *sorted(known.difference(_USUAL)))


SUFFIXES = _suffixes()
LOOKED_FOR = f"{' '.join(SUFFIXES[:8])} and {len(SUFFIXES) - 8} more suffixes of pictures"

ARRAY = ".npy"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_REASONS = {
    "vector graphics are not read; export them as .png": (".svg", ".svgz", ".eps", ".ps", ".ai", ".pdf", ".wmf", ".emf"),
    "videos are not read as data; write their frames as .png": (".mp4", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".flc", ".fli"),
    "Pillow does not read them; convert them to .png or .jpg": (
        ".heic", ".heif", ".jxl", ".avif", ".avifs", ".raw", ".dng", ".nef", ".cr2", ".cr3", ".arw", ".exr", ".hdr", ".fits",
    ),
    "an archive is read on its own; name the archive with --data": (
        ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".tbz2", ".txz",
    ),
    "volumes are data only in a folder without pictures": (".nii", ".dcm", ".dicom", ".ima"),
    "an array is read on its own; name the file with --data": (".npz",),
    "arrays are pictures only in a folder without other pictures": (".npy",),
}  # fmt: skip
_WHY = {suffix: reason for reason, suffixes in _REASONS.items() for suffix in suffixes}


def is_picture(name: str) -> bool:
    """Whether a file is named like a picture."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def is_array(name: str) -> bool:
    """Whether a file is named like an array."""
    return name.lower().endswith(ARRAY)


def is_archive(name: str) -> bool:
    """Whether a file is named like an archive."""
    return name.lower().endswith(ARCHIVES)


def left_out(others: Mapping[str, int]) -> list[LeftOut]:
    """A line for each suffix of files that are no pictures, the most frequent first."""
    return left_out_files(others, lambda suffix: _WHY.get(suffix, "no pictures"))


def most_unpacked(packed: int) -> int:
    """The bytes that a compressed file of this size may unpack to: 64 MiB, or 200 times its size."""
    return max(2**26, 200 * packed)


def most_bytes(pixels: int) -> int:
    """The bytes that a file of so many pixels may have where it is read whole: four channels of 16 bits, and what stands before them."""
    return 8 * pixels + 2**20


def opened(stream: IO[bytes], most: int) -> Image.Image:
    """As `Image.open` of a binary stream, for `FORMATS` alone, and without Pillow's own limit: the caller checks the ``most`` pixels."""
    start = stream.read(16)
    for name in FORMATS:
        factory, accepts = Image.OPEN[name]
        accepted = accepts is None or accepts(start)
        if not accepted or isinstance(accepted, str):  # text is the reason why this Pillow cannot read the format
            continue
        if name in _READ_WHOLE and stream.seek(0, os.SEEK_END) > most_bytes(most):
            raise DataError(f"more bytes than {most:,} pixels take; raise --data.max_pixels if you trust the file")
        stream.seek(0)
        try:
            return factory(stream, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
    raise UnidentifiedImageError


class _Limit:
    """Raises Pillow's own limit of pixels while files are read: some decoders check the limit, and a user's setting must hold there too."""

    def __init__(self) -> None:
        self._users, self._lock = 0, Lock()
        self._found: int | None = None

    @contextmanager
    def of_at_least(self, most: int) -> Generator[None]:
        """Within, Pillow's limit is ``most`` or more; the last thread to leave puts back the limit that the first found."""
        with self._lock:
            if not self._users:
                self._found = Image.MAX_IMAGE_PIXELS
            self._users += 1
            if self._found is not None:
                Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or most, most)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    Image.MAX_IMAGE_PIXELS = self._found


limit = _Limit()
room = Room(2**27)  # about 2 GB: a picture takes up to 16 bytes a pixel while it is converted
