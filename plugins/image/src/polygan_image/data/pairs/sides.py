"""The two sides of pairs as sources of their own: whole files, halves of files, and label maps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from polygan import DataError

from .. import pictures, survey
from ..folders import FilesOfPlace
from . import labels
from .counting import Files, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from PIL import Image

    from ..archives import Place
    from ..settings import ImageSettings
    from .counting import Counted


class Side(FilesOfPlace):
    """Some files of a place, whole or one half of each.

    ``half`` is ``"left"``, ``"right"`` or empty. ``labels`` and ``classes`` are the classes of the files.
    """

    folders_are_labels = True

    def __init__(
        self,
        place: Place,
        files: Sequence[str],
        settings: ImageSettings,
        half: str = "",
        *,
        held_out: Sequence[int] | None = None,
        labels: Sequence[int] | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.place, self.files, self.half, self.arrays = place, list(files), half, place.arrays
        self.held_out, self.labels = held_out, labels
        self.identity = (place.facts(self.files), half)
        self._prepare(settings)
        self._survey(str(place.root), settings, classes, self.identity)

    def _prepare(self, settings: ImageSettings) -> None:
        """Find what has to be known before the headers are read. Default: nothing."""

    def fingerprint(self) -> str:
        """Paths, sizes and modification times of the files, the half and the settings."""
        return self._fingerprint(self.identity, self.labels)

    def size_of(self, index: int) -> tuple[int, int] | None:
        """(width, height) of one picture by its header; None: the header cannot be read."""
        header = self._header(index)
        return None if header is None else (header.width, header.height)

    def cut(self, picture: Image.Image) -> Image.Image:
        """The picture, or its half, turned upright. DataError for an odd width."""
        picture = pictures.upright(picture)
        if not self.half:
            return picture
        width, height = picture.size
        _check_width(width)
        return picture.crop((0, 0, width // 2, height) if self.half == "left" else (width // 2, 0, width, height))

    def _header(self, index: int) -> survey.Header | None:
        header = super()._header(index)
        if header is None or not self.half:
            return header
        return None if header.width % 2 or header.width < 2 else header._replace(width=header.width // 2)

    def _fault(self, index: int) -> str:
        header = super()._header(index)
        if self.half and header is not None:
            try:
                _check_width(header.width)
            except DataError as error:
                return str(error)
        return super()._fault(index)

    def _fitted(self, picture: Image.Image) -> Any:
        return super()._fitted(self.cut(picture) if self.half and self.dtype == "uint8" else picture)

    def _of_values(self, values: np.ndarray) -> np.ndarray:
        if not self.half:
            return super()._of_values(values)
        width = values.shape[1]
        _check_width(width)
        return super()._of_values(values[:, : width // 2] if self.half == "left" else values[:, width // 2 :])


def _check_width(width: int) -> None:
    if width % 2 or width < 2:
        raise DataError(
            f"a width of {width} pixels has no two halves; cut the picture to an even width, or leave --data.pairs out for single pictures"
        )


class GivenSide(Side):
    """The given files of pairs, which may be label maps. These are stored as the indices of their classes."""

    counted: Counted | None = None

    def _prepare(self, settings: ImageSettings) -> None:
        files = Files([self.name(i) for i in range(len(self))], self._file, self.cut, self.identity)
        self.counted = counted(settings, files)

    def _settle(
        self, settings: ImageSettings, size: tuple[int, int], channels: int, classes: Sequence[str] | None
    ) -> None:
        if self.counted:  # the indices of classes are bytes without a window
            settings, channels, self.dtype = replace(settings, window=""), 1, "uint8"
        super()._settle(settings, size, channels, classes)

    def _fitted(self, picture: Image.Image) -> np.ndarray:
        if self.counted is None:
            return super()._fitted(picture)
        indices = labels.index_map(self.cut(picture), self.counted.classes)
        size = self._target(*indices.size)
        return labels.fitted(indices, size, self.settings.fit, enlarge=self.settings.enlarges)

    def fingerprint(self) -> str:
        """As of any side, with the classes of label maps."""
        known = self.counted and (self.counted.classes.values, self.counted.classes.coded)
        return f"{super().fingerprint()}-{known}"
