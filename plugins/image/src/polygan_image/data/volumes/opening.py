"""Data that is volumes, and files of users that are volumes or clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..formats import is_picture
from . import dicom, nifti, slices, video
from .pairs import paired_volumes
from .place import volumes_in
from .source import volume_source

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from polygan import Samples, Source

    from ..archives import Folder
    from ..settings import ImageSettings

READS = (*nifti.SUFFIXES, *video.SUFFIXES)
"""Suffixes of the files of users that are read here."""
WRITES = (nifti.SUFFIXES[1], nifti.SUFFIXES[0], video.MADE)


def volumes_of(path: Path, folder: Folder | None, settings: ImageSettings) -> Source | None:
    """The slices of volumes at ``path``, or their pairs; None: there are no volumes. ``folder``: what lies in the folder ``path``."""
    place = volumes_in(path, folder)
    if place is None:
        return None
    return paired_volumes(place, settings) if settings.pairs == "folders" else volume_source(place, settings)


def is_series(folder: Path) -> bool:
    """Whether a folder itself holds DICOM files, and no pictures or other volumes."""
    names = [path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    others = any(is_picture(name) or name.lower().endswith(READS) for name in names)
    return not others and any(dicom.is_dicom(folder, name) for name in names)


def made_suffix(path: Path) -> str:
    """The suffix of what is made from a volume or a clip; empty for other files."""
    if path.is_dir():
        return nifti.SUFFIXES[1]
    name = path.name.lower()
    own = next((suffix for suffix in nifti.SUFFIXES if name.endswith(suffix)), "")
    if dicom.is_dicom(path.parent, path.name):
        return nifti.SUFFIXES[1]
    return own or (video.MADE if video.is_clip(name) else "")


def write(pieces: Iterable[Samples], path: Path) -> None:
    """Write made slices or frames into a file of `WRITES`."""
    (video if path.suffix.lower() == video.MADE else slices).write(pieces, path)
