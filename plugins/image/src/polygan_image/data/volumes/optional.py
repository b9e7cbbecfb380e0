"""Packages that only volumes and video files need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from polygan import DataError

EXTRAS = {"nibabel": "nifti", "pydicom": "dicom", "imageio_ffmpeg": "video"}


def need(package: str, path: object) -> Any:
    """A package of `EXTRAS`. DataError that says what to type where it is missing; ``path``: the file that needs it."""
    try:
        return import_module(package)
    except ImportError:
        name = package.replace("_", "-")
        raise DataError(f"{path} needs the package {name}; pip install 'polygan-image[{EXTRAS[package]}]'") from None
