"""Pictures that are files: folders, and the columns of Hugging Face `datasets`."""

from __future__ import annotations

import hashlib
import io
import os
from abc import abstractmethod
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polygan import ConfigError, DataError, Field, Source, walk_files

from . import pictures
from .given import check_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from PIL import Image

    from .settings import ImageInfo, ImageSettings

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_LOOK = 256  # headers that decide the number of channels
_VERSION = 2  # of what `decode` returns for the same file and settings


class PictureSource(Source):
    """The common part of all sources: the fields ``image`` uint8 (C, H, W) and, with labels, ``label`` int64 ()."""

    folders_are_labels = False
    settings: ImageSettings

    def _describe(
        self,
        settings: ImageSettings,
        size: tuple[int, int],
        channels: int,
        classes: Sequence[str] | None,
        labels: Iterable[int] | None = None,
    ) -> None:
        """Set ``fields`` and ``info`` from (width, height), channels, class names (None: unlabelled) and, if already known,
        the labels, whose counts stand in ``info``."""
        if settings.labels == "folders" and not self.folders_are_labels:
            raise ConfigError("data.labels = folders fits a folder of pictures only; use auto or none")
        width, height = size
        self.settings, self._size, self._channels = settings, size, channels
        self.fields = {"image": Field("uint8", (channels, height, width))}
        if classes is not None:
            self.fields["label"] = Field("int64", ())
        names = list(classes or [])
        info: ImageInfo = {
            "channels": channels, "height": height, "width": width, "classes": names, "filter": pictures.FILTER,
        }  # fmt: skip
        if classes is not None and labels is not None:
            counts = Counter(labels)
            info["class_counts"] = [counts[i] for i in range(len(classes))]
        self._decoded = dict(info)
        info["fit"] = settings.fit
        if settings.pairs:
            check_pairs(settings.pairs, channels)
            info["pairs"], info["given"] = settings.pairs, {"channels": 1}
        self.info = dict(info)

    def _fitted(self, picture: Image.Image) -> np.ndarray:
        s = self.settings
        return pictures.to_array(picture, self._size, self._channels, s.fit, enlarge=s.smaller == "enlarge")

    def _fingerprint(self, *facts: object) -> str:
        s = self.settings
        # Pairs are derived when pictures are used: one store serves runs with and without pairs.
        facts = (_VERSION, self._decoded, s.fit, s.labels, s.max_pixels, s.smaller, *facts)
        return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()


class FileSource(PictureSource):
    """Pictures that are files or their bytes. `decode` reads one; the constructor looks at headers only."""

    labels: Sequence[int] | None = None

    @abstractmethod
    def _file(self, index: int) -> Any:
        """A path or a binary stream of one encoded picture."""

    def _survey(self, where: str, settings: ImageSettings, classes: Sequence[str] | None) -> None:
        """Find the size and channels that the settings leave open, and `_describe` the source."""
        self.settings = settings
        size, channels = (settings.resolution, settings.resolution), settings.channels
        if not (settings.resolution and channels):
            rows = range(len(self))
            if settings.resolution:
                rows = np.linspace(0, len(self) - 1, min(_LOOK, len(self))).astype(int).tolist()
            with ThreadPoolExecutor(8) as pool:
                seen = {i: h for i, h in zip(rows, pool.map(self._header, rows), strict=True) if h}
            if not seen:
                raise DataError(
                    f"{where}: none of {len(rows):,} pictures can be read, e.g. {self.name(rows[0])}; "
                    f"readable are {' '.join(SUFFIXES)}"
                )
            if not settings.resolution:
                size = self._one_size(seen)
            # One file with transparency among photographs must not add an empty channel to all of them.
            kinds = {kind for _, kind in seen.values()}
            channels = channels or (kinds.pop() if len(kinds) == 1 else 3)
        self._describe(settings, size, channels, classes, self.labels)

    def _one_size(self, seen: Mapping[int, tuple[tuple[int, int], int]]) -> tuple[int, int]:
        first = next(iter(seen))
        size = seen[first][0]
        for i, (other, _) in seen.items():
            if other != size:
                one, two = (f"{self.name(k)} is {w}x{h}" for k, (w, h) in ((first, size), (i, other)))
                raise DataError(
                    f"pictures differ in size ({one}, {two}); set data.resolution, e.g. --data.resolution 64"
                )
        return size

    def _header(self, index: int) -> tuple[tuple[int, int], int] | None:
        def read(picture: Image.Image) -> tuple[tuple[int, int], int]:
            return pictures.upright_size(picture), pictures.kind(picture)

        try:
            return pictures.open_picture(self._file(index), self.settings.max_pixels, read)
        except (DataError, OSError):  # `decode` names the file
            return None

    def decode(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of one picture; `DataError` says what is wrong with the file that `name` gives."""
        sample = {"image": pictures.open_picture(self._file(index), self.settings.max_pixels, self._fitted)}
        if self.labels is not None:
            if not 0 <= int(self.labels[index]) < len(self.info["classes"]):
                raise DataError(
                    f"has the label {self.labels[index]}, which is no class; set data.labels = none to train without labels"
                )
            sample["label"] = np.asarray(self.labels[index], np.int64)
        return sample


class FolderSource(FileSource):
    """Every picture below a folder, sorted by path; hidden files and other suffixes are ignored.

    With ``labels = "folders"`` a picture's class is its subfolder of the root.
    """

    folders_are_labels = True

    def __init__(self, root: Path, settings: ImageSettings) -> None:
        self.root = root
        self.files, others = walk_files(root, _is_picture)
        if not self.files:
            found = f"only {', '.join(sorted(others)[:5])} files" if others else "no files"
            raise DataError(f"no pictures in {root}: {found}; looked for {' '.join(SUFFIXES)}, IDX and NPZ files")
        classes, names = None, self._class_names(settings)
        if names is not None:
            classes = sorted(set(names))
            index = {name: i for i, name in enumerate(classes)}
            self.labels = [index[name] for name in names]
        self._survey(str(root), settings, classes)

    def _class_names(self, settings: ImageSettings) -> list[str] | None:
        """The class of each file, by name; None: no classes."""
        if settings.labels != "folders":
            return None
        loose = next((f for f in self.files if os.sep not in f), None)
        if loose:
            raise DataError(
                f"{self.root / loose} lies in no subfolder; with data.labels = folders, move each picture into the subfolder of its class"
            )
        names = [f.split(os.sep, 1)[0] for f in self.files]
        counts = Counter(names)
        lonely = next((name for name in sorted(counts) if counts[name] < 2), None)
        if lonely is not None:
            raise DataError(
                f"{self.root / lonely} holds one picture, and a class needs two or more; add pictures, or move the folder away"
            )
        return names

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        """The file's path."""
        return str(self.root / self.files[index])

    def _file(self, index: int) -> Path:
        path = self.root / self.files[index]
        if path.stat().st_size == 0:
            raise DataError("the file is empty; remove it")
        return path

    def fingerprint(self) -> str:
        """Paths below the root, sizes, modification times and classes of all files, and the settings."""
        return self._fingerprint([(f, *_stat(self.root / f)) for f in self.files], self.labels)


def _stat(path: Path) -> tuple[int, int]:
    """Size and modification time; a dangling link has neither, and `decode` names the link."""
    try:
        stat = path.stat()
    except OSError:
        return -1, 0
    return stat.st_size, stat.st_mtime_ns


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


class HubSource(FileSource):
    """A data set of Hugging Face's `datasets`: its column of type Image, with the column of type ClassLabel as labels.

    ``name`` is a name for `datasets.load_dataset`, or a folder written by ``save_to_disk``. The split is
    "train", or the first split if there is no "train".
    """

    def __init__(self, name: str, settings: ImageSettings) -> None:
        try:
            datasets: Any = import_module("datasets")
        except ImportError:
            raise DataError(f"hf:{name} needs the package datasets; pip install datasets") from None
        on_disk = any((Path(name) / f).is_file() for f in ("state.json", "dataset_dict.json"))
        try:
            data: Any = datasets.load_from_disk(name) if on_disk else datasets.load_dataset(name)
        except Exception as error:  # network, hub, parser and cache errors of many classes
            raise DataError(f"hf:{name} cannot be loaded: {' '.join(str(error).split())}") from error
        if isinstance(data, dict):
            data = data["train"] if "train" in data else next(iter(data.values()))
        columns = {type(f).__name__: c for c, f in reversed(list(data.features.items()))}
        if "Image" not in columns:
            raise DataError(f"hf:{name} has no column of type Image, only {', '.join(data.column_names)}")
        if not len(data):
            raise DataError(f"hf:{name} has no rows")
        self._repo = name
        self._data = data.select_columns(columns["Image"]).cast_column(columns["Image"], datasets.Image(decode=False))
        self._column, classes = columns["Image"], None
        if settings.labels == "auto" and "ClassLabel" in columns:
            column = columns["ClassLabel"]
            self.labels, classes = data[column], list(data.features[column].names)
        self._survey(f"hf:{name}", settings, classes)

    def __len__(self) -> int:
        return len(self._data)

    def name(self, index: int) -> str:
        """The data set and the row."""
        return f"hf:{self._repo} row {index}"

    def _file(self, index: int) -> Any:
        cell = self._data[index][self._column]
        if not (cell and (cell["bytes"] or cell["path"])):
            raise DataError("the row holds no picture")
        return io.BytesIO(cell["bytes"]) if cell["bytes"] else cell["path"]

    def fingerprint(self) -> str:
        """The library's own fingerprint of the data, and the settings."""
        return self._fingerprint(self._repo, self._data._fingerprint)
