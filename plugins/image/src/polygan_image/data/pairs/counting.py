"""The classes of label maps, counted over all files before training and kept for later runs."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from polygan import DataError, remembered

from .. import formats, pictures
from .labels import MOST, Classes, distinct, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import IO

    from PIL import Image

    from ..settings import ImageSettings

_VERSION = 1  # of what is counted in the same files
_PIECE = 256  # files that are asked for at once
_CONFLICT = -1  # the colour of an index that has several


class Counted(NamedTuple):
    """The classes of label maps, and how many pixels of all files each class has."""

    classes: Classes
    pixels: tuple[int, ...]


class Files(NamedTuple):
    """Files that may be label maps."""

    names: Sequence[str]
    open: Callable[[int], Path | IO[bytes]]
    cut: Callable[[Image.Image], Image.Image]
    """Turns a picture upright and cuts out the part that is given."""
    identity: object
    """What changes whenever the files change."""


@dataclass
class _Sums:
    """What files say together."""

    modes: set[str] = field(default_factory=set)
    """``"palette"``, ``"grey"`` and ``"colour"``."""
    ids: Counter[int] = field(default_factory=Counter)
    """Pixels by grey value or index of a palette; a file in colour has none."""
    colours: Counter[int] = field(default_factory=Counter)
    """Pixels by colour 0xRRGGBB."""
    palette: dict[int, int] = field(default_factory=dict)
    """The colour of each index that occurs."""

    def add(self, other: _Sums, name: str) -> None:
        """Add a file. Raises DataError, which names the file, as soon as there are too many classes of either code."""
        self.modes |= other.modes
        self.ids.update(other.ids)
        self.colours.update(other.colours)
        for index, colour in other.palette.items():
            self.palette[index] = colour if self.palette.get(index, colour) == colour else _CONFLICT
        most = len(self.colours) if "colour" in self.modes else len(self.ids)
        if most > MOST:
            raise DataError(
                f"{name}: with this file the given label maps have {most:,} different values, and at most {MOST} are classes. Leave "
                "--data.given_labels out for pictures; save label maps as PNG, since JPEG blurs them"
            )

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        tables = {"ids": self.ids, "colours": self.colours, "palette": self.palette}
        return {"modes": sorted(self.modes), **{name: sorted(map(list, t.items())) for name, t in tables.items()}}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> _Sums:
        """From plain data."""
        ids, colours, palette = (dict(plain[name]) for name in ("ids", "colours", "palette"))
        return cls({str(m) for m in plain["modes"]}, Counter(ids), Counter(colours), palette)


def counted(settings: ImageSettings, files: Files) -> Counted | None:
    """The classes of the given label maps; None: by ``settings.given_labels`` and the files these are pictures.

    Grey files and palettes have ids; where any file is in colour, colours are the classes. Unreadable files are passed over. Raises
    DataError for fewer than 2 or more than 256 classes.
    """
    auto = settings.given_labels == "auto"
    if not settings.given_labels or (auto and (settings.fit == "pad" or not _maybe(settings, files))):
        return None
    key = repr(("label maps", _VERSION, settings.max_pixels, auto, files.identity))
    sums = _Sums.read(remembered(settings, key, lambda: _all(settings, files, auto).plain()))
    if auto and (sums.modes != {"palette"} or _CONFLICT in sums.palette.values()):
        return None
    found = _classes(sums)
    if len(found.pixels) < 2:
        if auto:
            return None
        what = found.classes.name(found.classes.values[0]) if found.pixels else "no value"
        raise DataError(
            f"the given label maps, e.g. {files.names[0]}, hold only {what}, and a map needs two classes or more; use other files, or leave "
            "--data.given_labels out"
        )
    return found


def _maybe(settings: ImageSettings, files: Files) -> bool:
    """Whether the first file is a PNG file with a palette."""
    try:
        return pictures.open_picture(
            files.open(0), settings.max_pixels, lambda picture: picture.format == "PNG" and picture.mode == "P"
        )
    except (DataError, OSError):
        return False


def _all(settings: ImageSettings, files: Files, auto: bool) -> _Sums:
    sums = _Sums()

    def read(index: int) -> _Sums | None:
        try:
            return pictures.open_picture(files.open(index), settings.max_pixels, lambda p: _in_room(files.cut(p)))
        except (DataError, OSError):  # `decode` names the file
            return None

    with ThreadPoolExecutor(8, "polygan-labels") as pool:
        for start in range(0, len(files.names), _PIECE):
            rows = range(start, min(start + _PIECE, len(files.names)))
            for index, one in zip(rows, pool.map(read, rows), strict=True):
                if one is None:
                    continue
                if auto and one.modes != {"palette"}:
                    return one  # pictures, whatever the other files are
                sums.add(one, files.names[index])
    return sums


def _in_room(picture: Image.Image) -> _Sums:
    with formats.room.of(picture.width * picture.height):
        return _of(picture)


def _of(picture: Image.Image) -> _Sums:
    """What one file says. Raises DataError for transparent pixels."""
    if picture.mode != "P" and pictures.kind(picture) != 1:
        return _Sums({"colour"}, colours=_count(values_of(picture, "colours")))
    ids = _count(values_of(picture, "ids"))
    if picture.mode != "P":
        greys = {value: min(value, 255) * 0x010101 for value in ids}
        return _Sums({"grey"}, ids, _recoloured(ids, greys))
    flat = picture.getpalette("RGB") or []
    known = {i: flat[3 * i] << 16 | flat[3 * i + 1] << 8 | flat[3 * i + 2] for i in ids if 3 * i + 2 < len(flat)}
    palette = {i: known.get(i, 0) for i in ids}
    return _Sums({"palette"}, ids, _recoloured(ids, palette), palette)


def _count(values: np.ndarray) -> Counter[int]:
    if values.min() >= 0 and values.max() < 2**16:  # much faster than sorting
        counts = np.bincount(values.ravel())
        found = counts.nonzero()[0]
        counts = counts[found]
    else:
        found, counts = np.unique(values, return_counts=True)
    if len(found) > MOST:  # a photograph has up to millions of colours, of which 257 say enough
        found, counts = found[: MOST + 1], counts[: MOST + 1]
    return Counter(dict(zip(found.tolist(), counts.tolist(), strict=True)))


def _recoloured(ids: Counter[int], colours: Mapping[int, int]) -> Counter[int]:
    pixels: Counter[int] = Counter()
    for value, count in ids.items():
        pixels[colours[value]] += count
    return pixels


def _classes(sums: _Sums) -> Counted:
    if "colour" in sums.modes:
        values = sorted(sums.colours)
        shown = [f"#{value:06x}" for value in values]
        return Counted(
            Classes(tuple(values), tuple(shown), tuple(shown), "colours"), tuple(sums.colours[v] for v in values)
        )
    values = sorted(sums.ids)
    own = [sums.palette.get(value, _CONFLICT) for value in values]
    usable = _CONFLICT not in own and len(set(own)) == len(own)
    colours = [f"#{colour:06x}" for colour in own] if usable else distinct(len(values))
    classes = Classes(tuple(values), tuple(map(str, values)), tuple(colours), "ids")
    return Counted(classes, tuple(sums.ids[v] for v in values))
