"""The volumes in a folder: NIfTI files, and series of DICOM files as if each were a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygan import DataError, LeftOut, walk_files

from ..archives import Folder, Place
from . import dicom, nifti

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .volume import Volume

_MAY_BE = frozenset((".nii", ".gz", *dicom.SUFFIXES))


class VolumePlace(Place):
    """The volumes below a folder, or the one volume in a file."""

    def __init__(self, root: Path) -> None:
        self.root, self.left_out = root, []
        self._open: dict[str, Callable[[int | None], Volume]] = {}
        if root.is_dir():
            found, self.others = walk_files(root, lambda name: nifti.is_nifti(name) or _could_be_dicom(name))
            slices = [name for name in found if not nifti.is_nifti(name) and dicom.is_dicom(root, name)]
            self._nifti([name for name in found if nifti.is_nifti(name)])
            self._dicom(slices)
        elif nifti.is_nifti(root.name):
            self.root = root.parent
            self._nifti([root.name])
        else:
            self.root = root.parent
            self._dicom([root.name])
        self.files = sorted(self._open)

    def _nifti(self, names: Sequence[str]) -> None:
        for name in names:
            path = self.root / name
            self._open[name.replace("\\", "/")] = lambda most, path=path: nifti.opened(path, most)

    def _dicom(self, names: Sequence[str]) -> None:
        if not names:
            return
        series, faults = dicom.series_of([self.root / name for name in names], self.root)
        for name, files in series.items():
            self._open[name] = lambda most, name=name, files=files: dicom.opened(self.name(name), files, most)
        by_reason: dict[str, list[str]] = {}
        for name, reason in faults.items():
            by_reason.setdefault(reason, []).append(name)
        self.left_out = [LeftOut(len(who), "DICOM files", f"each {why}", who[0]) for why, who in by_reason.items()]
        if not series and len(self._open) == 0:
            name, reason = next(iter(faults.items()))
            raise DataError(f"{self.root / name} {reason}")

    def volume(self, file: str, max_pixels: int | None = None) -> Volume:
        """A volume. Raises DataError, without its name, for a file that holds none."""
        return self._open[file](max_pixels)

    def name(self, file: str) -> str:
        """The path of a volume for messages."""
        return str(self.root / file)

    def open(self, file: str) -> Path:
        """The path of a volume."""
        return self.root / file

    def facts(self, files: Sequence[str]) -> object:
        """The names of the volumes; a `Volume` knows more."""
        return list(files)

    def tables(self) -> Sequence[tuple[str, bytes]]:
        """Volumes have none."""
        return []


def _could_be_dicom(name: str) -> bool:
    suffix = f".{name.rpartition('.')[2].lower()}" if "." in name else ""
    return not suffix or suffix in dicom.SUFFIXES or suffix[1:].isdecimal()


def volumes_in(path: Path, folder: Folder | None = None) -> VolumePlace | None:
    """The volumes at ``path``; None: there are none. ``folder``: the folder ``path``, whose pictures come before volumes."""
    if folder is None:
        named = nifti.is_nifti(path.name) or dicom.is_dicom(path.parent, path.name)
        return VolumePlace(path) if named else None
    names = folder.others
    if folder.files or not any(
        name in _MAY_BE or _could_be_dicom(f"x{name}" if name.startswith(".") else name) for name in names
    ):
        return None
    place = VolumePlace(path)
    return place if place.files else None
