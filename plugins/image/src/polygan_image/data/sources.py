"""Sources of pictures: what all share, pictures that are files, and pictures in one array."""

from __future__ import annotations

import hashlib
import threading
from abc import abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from polygan import ConfigError, DataError, Fact, Field, LeftOut, Source

from . import pictures, survey
from .given import derived_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .settings import ImageInfo, ImageSettings

_VERSION = 2  # of what `decode` returns for the same file and settings
_ALPHA_VERSION = 1  # of what becomes of transparency


class PictureSource(Source):
    """The common part of all sources: the fields ``image`` uint8 (C, H, W) and, with labels, ``label`` int64 ()."""

    folders_are_labels = False
    settings: ImageSettings
    labels: Sequence[int] | None = None
    held_out: Sequence[int] | None = None
    """1 for each picture that the source itself keeps from training, else 0; None: the core splits."""
    transparent = False
    """Whether a picture may have alpha."""

    def _settle(
        self, settings: ImageSettings, size: tuple[int, int], channels: int, classes: Sequence[str] | None
    ) -> None:
        """Set ``fields`` and ``info`` from (width, height), channels and class names (None: unlabelled).

        Labels, if they are known already, are counted in ``info``.
        """
        if settings.labels == "folders" and not self.folders_are_labels:
            raise ConfigError("data.labels = folders fits a folder or an archive of pictures only; use auto or none")
        if settings.min_class and classes is None:
            raise ConfigError("data.min_class needs classes; set --data.labels folders, or leave --data.min_class out")
        width, height = size
        self.settings, self._size, self._channels = settings, size, channels
        self.fields = {"image": Field("uint8", (channels, height, width))}
        if classes is not None:
            self.fields["label"] = Field("int64", ())
        if self.held_out is not None:
            self.fields["held_out"] = Field("uint8", ())
        names = list(classes or [])
        info: ImageInfo = {
            "channels": channels, "height": height, "width": width, "classes": names, "filter": pictures.FILTER,
        }  # fmt: skip
        if classes is not None and self.labels is not None:
            info["class_counts"] = self._class_counts(len(names), ())
        self._decoded = dict(info)
        info["fit"] = settings.fit
        if settings.background:
            info["background"] = settings.background
        if settings.pairs:
            info["given"] = derived_facts(settings.pairs, settings.factor, channels, size)
            info["pairs"] = settings.pairs
        self.info = dict(info)

    def _class_counts(self, classes: int, skipped: Sequence[int]) -> list[int]:
        """How many pictures each class has without the skipped indices."""
        labels = self.labels or []
        counts = Counter(labels)
        counts.subtract(labels[i] for i in skipped)
        return [counts[i] for i in range(classes)]

    def info_without(self, skipped: Sequence[int]) -> dict[str, Any]:
        """`info` whose class counts leave out the pictures that cannot be read."""
        if "class_counts" not in self.info or not skipped:
            return self.info
        return {**self.info, "class_counts": self._class_counts(len(self.info["classes"]), skipped)}

    def _fitted(self, picture: Image.Image) -> np.ndarray:
        s, enlarge = self.settings, self.settings.smaller == "enlarge"
        return pictures.to_array(picture, self._size, self._channels, s.fit, enlarge=enlarge, background=s.background)

    def _labelled(self, index: int) -> dict[str, np.ndarray]:
        """The fields of a sample beside its picture."""
        sample = {}
        if "label" in self.fields and self.labels is not None:
            if not 0 <= int(self.labels[index]) < len(self.info["classes"]):
                raise DataError(
                    f"has the label {self.labels[index]}, which is no class; set data.labels = none to train without labels"
                )
            sample["label"] = np.asarray(self.labels[index], np.int64)
        if self.held_out is not None:
            sample["held_out"] = np.asarray(self.held_out[index], np.uint8)
        return sample

    def _fingerprint(self, *facts: object) -> str:
        s = self.settings
        # Pairs are derived when pictures are used: one store serves runs with and without pairs.
        facts = (_VERSION, self._decoded, s.fit, s.labels, s.max_pixels, s.smaller, *facts)
        if self.transparent or self._channels == 4 or s.background:
            facts = (*facts, _ALPHA_VERSION, s.background)
        if self.held_out is not None:
            facts = (*facts, list(self.held_out))
        return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()


def large_enough(
    labels: Sequence[int], names: Sequence[str], least: int
) -> tuple[list[int], list[int], list[str], list[LeftOut]]:
    """The rows whose class has ``least`` pictures or more, their labels among the remaining classes, these classes, and what is left out.

    A label that is no class stays, and is refused when the picture is decoded.
    """
    counts = Counter(labels)
    kept = [i for i in range(len(names)) if counts[i] >= least]
    gone = [i for i in range(len(names)) if 0 < counts[i] < least]
    if not kept:
        largest = max(range(len(names)), key=lambda i: counts[i])
        raise DataError(
            f"no class has data.min_class = {least} pictures, the largest, {names[largest]}, has {counts[largest]}; lower --data.min_class"
        )
    new = {old: i for i, old in enumerate(kept)}
    rows = [row for row, label in enumerate(labels) if label in new or not 0 <= label < len(names)]
    left = []
    if gone:
        shown = ", ".join(names[i] for i in gone[:5]) + (", ..." if len(gone) > 5 else "")
        what = f"pictures of {len(gone)} small {'class' if len(gone) == 1 else 'classes'}"
        left.append(LeftOut(sum(counts[i] for i in gone), what, f"fewer than data.min_class = {least} each", shown))
    return rows, [new.get(labels[row], -1) for row in rows], [names[i] for i in kept], left


class FileSource(PictureSource):
    """Pictures that are files or their bytes. `decode` reads one; the constructor looks at headers only."""

    @abstractmethod
    def _file(self, index: int) -> Any:
        """A path or a binary stream of one encoded picture."""

    def _survey(self, where: str, settings: ImageSettings, classes: Sequence[str] | None, identity: object) -> None:
        """Read every header, or what was kept of them; find the size and channels that are left open; `_settle` the source."""
        self.settings = settings
        self.seen = survey.surveyed(settings, identity, len(self), self._header)
        if not self.seen.readable:
            raise DataError(
                f"{where}: none of {len(self):,} pictures can be read, e.g. {self.name(0)}: {self._fault(0)}"
            )
        self.transparent = 4 in self.seen.channels
        size = settings.size if settings.resolution else survey.one_size(self.seen, self.name)
        self._settle(settings, size, settings.channels or self.seen.decided_channels(), classes)
        self.left_out = [*self.left_out, *survey.frames_left_out(self.seen, self.name)]

    def _header(self, index: int) -> survey.Header | None:
        def read(picture: Image.Image) -> survey.Header:
            return survey.Header(
                *pictures.upright_size(picture), pictures.kind(picture), pictures.has_more_frames(picture)
            )

        try:
            return pictures.open_picture(self._file(index), self.settings.max_pixels, read)
        except DataError:  # `decode` names the file
            return None

    def _fault(self, index: int) -> str:
        """What is wrong with a picture."""
        try:
            pictures.open_picture(self._file(index), self.settings.max_pixels, lambda picture: None)
        except (DataError, OSError) as error:
            return str(getattr(error, "strerror", None) or error)
        return "cannot be read"

    def decode(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of one picture; `DataError` says what is wrong with the file that `name` gives."""
        image = pictures.open_picture(self._file(index), self.settings.max_pixels, self._fitted)
        return {"image": image, **self._labelled(index)}

    def describe(self) -> Sequence[Fact]:
        """Sizes, channels, transparency and classes, as headers and names say."""
        facts = [
            *survey.size_facts(self.seen, self._size, self.settings.fit),
            *survey.channel_facts(self.seen, self.settings, self._channels),
            *survey.unread_fact(self.seen, self.name),
        ]
        if "class_counts" in self.info:
            facts.append(survey.class_fact(self.info["classes"], self.info["class_counts"]))
        return facts


Arrays = tuple[np.ndarray, np.ndarray | None]
"""Pictures (n, H, W) or (n, H, W, C) of uint8, and class indices (n,) or None."""


class ArraySource(PictureSource):
    """Pictures in one array, which is read when the first picture is decoded.

    ``shape`` is (n, height, width, channels); ``load`` returns `Arrays` of that shape or raises `DataError`;
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
    ) -> None:
        count, height, width, channels = shape
        if channels not in pictures.MODES:
            raise DataError(f"{where}: {channels} channels; pictures have 1, 3 or 4")
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
        self.transparent = channels == 4
        classes = None if settings.labels == "none" else classes
        if settings.min_class and classes is not None:
            labels = self._read()[1] if labels is None else labels
            known = [] if labels is None else labels.tolist()
            self._rows, self.labels, classes, self.left_out = large_enough(known, classes, settings.min_class)
        elif labels is not None:
            self.labels = labels.tolist()
        self._seen = survey.of_one_kind(len(self._rows), (width, height), channels)
        size = settings.size if settings.resolution else (width, height)
        self._settle(settings, size, settings.channels or channels, classes)

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
        image = images[row]
        if image.ndim == 3 and image.shape[-1] == 1:
            image = image[..., 0]
        sample = {"image": self._fitted(Image.fromarray(image)), **self._labelled(index)}
        if "label" in self.fields and self.labels is None and labels is not None:
            sample["label"] = np.asarray(labels[row], np.int64)
        return sample

    def describe(self) -> Sequence[Fact]:
        """The file, sizes, channels and classes."""
        facts = [Fact("from", self.where), *survey.size_facts(self._seen, self._size, self.settings.fit)]
        facts += survey.channel_facts(self._seen, self.settings, self._channels)
        if "class_counts" in self.info:
            facts.append(survey.class_fact(self.info["classes"], self.info["class_counts"]))
        return facts
