"""Sources of pictures: what all share, and pictures that are files."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from polygan import ConfigError, DataError, Fact, Field, LeftOut, Source

from . import pictures, survey
from .given import derived_facts
from .values import fitting, kinds, ranges, reading, windows
from .values.facts import crop_facts, value_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .settings import ImageInfo, ImageSettings

_VERSION = 2  # of what `decode` returns for the same file and settings
_ALPHA_VERSION = 1  # of what becomes of transparency


class PictureSource(Source):
    """The common part of all sources: the fields ``image`` (C, H, W) and, with labels, ``label`` int64 ().

    Pictures that keep their own size are rows (H * W, C) of ``image``, with their (H, W) in ``size`` int32. A subclass sets ``dtype``,
    ``ragged`` and ``least_side`` before it calls `_settle`, and `decode` and `fingerprint` work from there on.
    """

    folders_are_labels = False
    settings: ImageSettings
    labels: Sequence[int] | None = None
    held_out: Sequence[int] | None = None
    """1 for each picture that the source itself keeps from training, else 0; None: the core splits."""
    transparent = False
    """Whether a picture may have alpha."""
    dtype = "uint8"
    """The type of the stored values: uint8, uint16, int16 or float32."""
    ragged = False
    """Whether pictures keep their own size in the store."""
    least_side = 0
    """The shortest side of all pictures in pixels; 0: not known."""

    def _settle(
        self, settings: ImageSettings, size: tuple[int, int], channels: int, classes: Sequence[str] | None
    ) -> None:
        """Set ``fields`` and ``info`` from (width, height), channels and class names (None: unlabelled).

        Labels, if they are known already, are counted in ``info``. The size of ragged pictures is not looked at. Where the data decides
        the window, every sample is decoded, unless the cache knows the range of the values.
        """
        if settings.labels == "folders" and not self.folders_are_labels:
            raise ConfigError("data.labels = folders fits a folder or an archive of pictures only; use auto or none")
        if settings.min_class and classes is None:
            raise ConfigError("data.min_class needs classes; set --data.labels folders, or leave --data.min_class out")
        crop = settings.crop
        self.settings, self._channels = settings, channels
        self._size = width, height = (0, 0) if self.ragged else self._large_enough(*size)
        self.fields = {"image": Field(self.dtype, (channels, height, width))}
        if self.ragged:
            self.fields = {"image": Field(self.dtype, (None, channels)), "size": Field("int32", (2,))}
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
        if self.dtype != "uint8":
            info["dtype"] = self.dtype
        self._decoded = dict(info)
        if (
            self.ragged
        ):  # one store serves crops of all sizes, unless the crop decides which pictures are refused or enlarged
            self._decoded["crop"] = 0 if self.least_side >= crop else crop
        info["fit"] = settings.fit
        if settings.background:
            info["background"] = settings.background
        info |= self._crop_facts(width, height)
        if settings.pairs:
            size = info["width"], info["height"]
            info["given"] = derived_facts(settings.pairs, settings.factor, channels, size)
            info["pairs"] = settings.pairs
        self.info = dict(info)
        if window := self._window():
            self.info["window"] = list(window)

    def _crop_facts(self, width: int, height: int) -> ImageInfo:
        """The facts of what training sees of a stored picture of this size."""
        s, found = self.settings, dict[str, Any](width=width, height=height)
        if s.crop:
            found |= {"width": s.crop, "height": s.crop, "crop": s.crop}
        if s.flip:
            found["flip"] = True
        if s.scale != 1:
            found["scale"] = float(s.scale)
        return cast("ImageInfo", found)

    def _window(self) -> tuple[float, float] | None:
        """The values that become -1 and 1; None: 0 and 255."""
        text = self.settings.window
        if (fixed := windows.said(text)) or (not text and self.dtype == "uint8"):
            return fixed
        found = ranges.range_of(self.settings, self.fingerprint(), len(self), lambda i: self.decode(i)["image"])
        low, high = found[2:] if text == "percentile" else found[:2]
        if not low < high:
            raise DataError(
                f"data.window = {text or 'full'} has no width: {'nearly all' if found.low < found.high else 'all'} values of the data are "
                f"{low:g}; type --data.window 'LOW HIGH', or use other data"
            )
        return low, high

    def _large_enough(self, width: int, height: int) -> tuple[int, int]:
        """The size at which a picture is stored: its own, or a larger one that holds the crop. DataError for one that stays too small."""
        crop, least = self.settings.crop, min(width, height)
        if least >= crop:
            return width, height
        if not self.settings.enlarges:
            raise DataError(
                f"{width}x{height} pixels are smaller than data.crop = {crop}; lower --data.crop, or set --data.smaller enlarge"
            )
        return max(crop, round(width * crop / least)), max(crop, round(height * crop / least))

    def _target(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) at which a picture of this size is stored."""
        return self._large_enough(width, height) if self.ragged else self._size

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
        """The values (C, H, W) of a Pillow picture as they are stored."""
        if self.dtype != "uint8":
            return self._of_values(reading.of_picture(picture, self.dtype))
        return self._bytes(picture)

    def _bytes(self, picture: Image.Image) -> np.ndarray:
        s = self.settings
        size = self._target(*pictures.upright_size(picture))
        return pictures.to_array(picture, size, self._channels, s.fit, enlarge=s.enlarges, background=s.background)

    def _of_values(self, values: np.ndarray) -> np.ndarray:
        """The values (C, H, W) as they are stored, of a picture (H, W, C)."""
        if self.dtype == "uint8" and self._channels in pictures.MODES:
            return self._bytes(Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values))
        size = self._target(values.shape[1], values.shape[0])
        made = fitting.fitted(
            reading.as_type(values, self.dtype), size, self.settings.fit, enlarge=self.settings.enlarges
        )
        return np.ascontiguousarray(made.transpose(2, 0, 1))

    def _as_fields(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of a picture (C, H, W) of the stored type and size."""
        if not self.ragged:
            return {"image": image}
        channels, height, width = image.shape
        rows = np.ascontiguousarray(image.transpose(1, 2, 0)).reshape(height * width, channels)
        return {"image": rows, "size": np.array([height, width], np.int32)}

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
        # Pairs, crops and windows are made when pictures are used: one store serves runs with and without them.
        smaller = "enlarge" if s.enlarges else "refuse"
        facts = (_VERSION, self._decoded, s.fit, s.labels, s.max_pixels, smaller, *facts)
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

    arrays = False
    """Whether the files are .npy arrays."""

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
        self.dtype = kinds.one_type(self.seen, self.name, arrays=self.arrays)
        channels = kinds.one_channels(self.seen, self.name, settings.channels, self.dtype)
        self.transparent = 4 in self.seen.channels and self.dtype == "uint8"
        self.ragged, self.least_side = settings.keeps_sizes, self.seen.least_side
        size = settings.size
        if not (settings.resolution or self.ragged):
            size = survey.one_size(self.seen, self.name)
        self.left_out = [*self.left_out, *survey.frames_left_out(self.seen, self.name)]
        self._settle(settings, size, channels, classes)

    def _header(self, index: int) -> survey.Header | None:
        def read(picture: Image.Image) -> survey.Header:
            size, frames = pictures.upright_size(picture), pictures.has_more_frames(picture)
            return survey.Header(*size, pictures.kind(picture), frames, reading.depth(picture))

        try:
            if self.arrays:
                (height, width, channels), dtype = reading.npy_facts(self._file(index), self.settings.max_pixels)
                return survey.Header(width, height, channels, False, dtype)
            return pictures.open_picture(self._file(index), self.settings.max_pixels, read)
        except DataError:  # `decode` names the file
            return None

    def _fault(self, index: int) -> str:
        """What is wrong with a picture."""
        try:
            if self.arrays:
                reading.npy_facts(self._file(index), self.settings.max_pixels)
            else:
                pictures.open_picture(self._file(index), self.settings.max_pixels, lambda picture: None)
        except (DataError, OSError) as error:
            return str(getattr(error, "strerror", None) or error)
        return "cannot be read"

    def decode(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of one picture; `DataError` says what is wrong with the file that `name` gives."""
        if self.arrays:
            image = self._of_values(reading.npy_values(self._file(index), self.settings.max_pixels))
        else:
            image = pictures.open_picture(self._file(index), self.settings.max_pixels, self._fitted)
        return {**self._as_fields(image), **self._labelled(index)}

    def describe(self) -> Sequence[Fact]:
        """Sizes, channels, values, transparency and classes, as headers and names say."""
        facts = [
            *survey.size_facts(self.seen, None if self.ragged else self._size, self.settings.fit),
            *crop_facts(self.seen, self.settings),
            *survey.channel_facts(self.seen, self.settings, self._channels),
            *value_facts(self.seen, self.dtype, self.info.get("window"), self.settings.window),
            *survey.unread_fact(self.seen, self.name),
        ]
        if "class_counts" in self.info:
            facts.append(survey.class_fact(self.info["classes"], self.info["class_counts"]))
        return facts
