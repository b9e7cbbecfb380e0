"""Pictures in one array as a source."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from polygan import DataError, Fact

from .. import survey
from ..sources import PictureSource, large_enough
from .facts import crop_facts, value_facts
from .kinds import one_channels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..settings import ImageSettings

Arrays = tuple[np.ndarray, np.ndarray | None]
"""Pictures (n, H, W) or (n, H, W, C), and class indices (n,) or None."""


class ArraySource(PictureSource):
    """Pictures in one array, which is read when the first picture is decoded.

    ``shape`` is (n, height, width, channels); ``load`` returns `Arrays` of that shape and of ``dtype``, or raises `DataError`;
    ``identity`` is a string that changes with the data; ``labels`` (n,), if already known, are counted.
    """

    def __init__(
        self,
        where: str,
        shape: tuple[int, int, int, int],
        load: Callable[[], Arrays],
        classes: Sequence[str] | None,
        identity: str,
        settings: ImageSettings,
        labels: np.ndarray | None = None,
        dtype: str = "uint8",
    ) -> None:
        count, height, width, channels = shape
        if min(shape) < 1:
            raise DataError(f"{where} holds no pictures (shape {shape})")
        if height * width > settings.max_pixels:
            raise DataError(
                f"{where}: {width}x{height} are more than data.max_pixels = {settings.max_pixels:,} pixels; "
                f"type --data.max_pixels {height * width} if you trust the file"
            )
        self.where, self._load, self._identity = where, load, identity
        self._arrays: Arrays | DataError | None = None
        self._lock = threading.Lock()
        self._rows: Sequence[int] = range(count)
        self.dtype, self.transparent = dtype, channels == 4 and dtype == "uint8"
        classes = None if settings.labels == "none" else classes
        if settings.min_class and classes is not None:
            labels = self._read()[1] if labels is None else labels
            known = [] if labels is None else labels.tolist()
            self._rows, self.labels, classes, self.left_out = large_enough(known, classes, settings.min_class)
        elif labels is not None:
            self.labels = labels.tolist()
        self._seen = survey.of_one_kind(len(self._rows), (width, height), channels, dtype)
        size = settings.size if settings.resolution else (width, height)
        channels = one_channels(self._seen, lambda _: where, settings.channels, dtype)
        self._settle(settings, size, channels, classes)

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """The row; messages name the file themselves."""
        return f"picture {self._rows[index]}"

    def fingerprint(self) -> str:
        """A key of the data and the settings."""
        rows = () if isinstance(self._rows, range) else (self._rows,)
        return self._fingerprint(self.where, self._identity, *rows)

    def _read(self) -> Arrays:
        with self._lock:
            if self._arrays is None:
                try:
                    self._arrays = self._load()
                except DataError as error:
                    self._arrays = error
            if isinstance(self._arrays, DataError):
                raise DataError(str(self._arrays))
            return self._arrays

    def decode(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of one picture. Raises `DataError` if the file is damaged."""
        images, labels = self._read()
        row = self._rows[index]
        image = images[row] if images.ndim == 4 else images[row][..., None]
        sample = {**self._as_fields(self._of_values(image)), **self._labelled(index)}
        if "label" in self.fields and self.labels is None and labels is not None:
            sample["label"] = np.asarray(labels[row], np.int64)
        return sample

    def describe(self) -> Sequence[Fact]:
        """The file, sizes, channels and classes."""
        facts = [Fact("from", self.where), *survey.size_facts(self._seen, self._size, self.settings.fit)]
        facts += [
            *crop_facts(self._seen, self.settings),
            *survey.channel_facts(self._seen, self.settings, self._channels),
        ]
        facts += value_facts(self._seen, self.dtype, self.info.get("window"), self.settings.window)
        if "class_counts" in self.info:
            facts.append(survey.class_fact(self.info["classes"], self.info["class_counts"]))
        return facts
