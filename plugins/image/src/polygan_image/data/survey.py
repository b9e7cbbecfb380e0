"""What the headers of many pictures say, found once and kept: sizes, channels, frames; and the facts of it for a user."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, cast

from PIL import __version__ as pillow

from polygan import DataError, Fact, LeftOut, remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .settings import ImageSettings

_VERSION = 2  # of what is found in the same headers
_PIECE = 1024  # headers that are asked for at once
_SHOWN = 12  # classes that are named
KINDS = {1: "grey", 3: "colour", 4: "colour and alpha"}


class Header(NamedTuple):
    """What one header says."""

    width: int
    height: int
    channels: int
    several: bool
    """Whether the file has further frames or pages."""
    dtype: str = "uint8"
    """The type of the values."""


class Group(NamedTuple):
    """Pictures that have something in common: how many, and the index of the first."""

    number: int
    first: int


class Survey(NamedTuple):
    """What all headers of a source say."""

    sizes: Mapping[tuple[int, int], Group]
    """By (width, height), in the order of the sources' pictures."""
    channels: Mapping[int, Group]
    several: Group
    """Files with further frames or pages."""
    unread: Group
    dtypes: Mapping[str, Group]
    """By the type of the values."""

    @property
    def readable(self) -> int:
        """The number of pictures whose header could be read."""
        return sum(group.number for group in self.sizes.values())

    def decided_channels(self) -> int:
        """4 if more than half of the pictures have alpha, 1 if all are grey, else 3: no order and no name decides."""
        counts = {kind: group.number for kind, group in self.channels.items()}
        if 2 * counts.get(4, 0) > self.readable:
            return 4
        return 1 if counts.keys() == {1} else 3

    @property
    def least_side(self) -> int:
        """The shortest side of all pictures."""
        return min((min(size) for size in self.sizes), default=0)


class _Passing(Exception):
    """A survey in which a file could not be opened for a reason that may pass: it is not kept."""


def surveyed(settings: ImageSettings, identity: object, count: int, header: Callable[[int], Header | None]) -> Survey:
    """The survey of ``count`` pictures, from the cache where the pictures of this ``identity`` were surveyed before.

    ``header`` gives None for an unreadable picture, and raises OSError where a file cannot be opened.
    """
    passing: list[dict[str, object]] = []

    def find() -> dict[str, object]:
        found, sure = _collected(count, header)
        if not sure:
            passing.append(found)
            raise _Passing
        return found

    key = repr(("picture headers", _VERSION, pillow, settings.max_pixels, identity))
    try:
        return _read(remembered(settings, key, find))
    except _Passing:
        return _read(passing[0])
    except (KeyError, TypeError, ValueError):  # what is kept is of another form
        return _read(_collected(count, header)[0])


def _collected(count: int, header: Callable[[int], Header | None]) -> tuple[dict[str, object], bool]:
    """The survey as plain data, and whether every file could be opened."""
    sizes: dict[tuple[int, int], list[int]] = {}
    channels: dict[int, list[int]] = {}
    dtypes: dict[str, list[int]] = {}
    several, unread, sure = [0, 0], [0, 0], True

    def safe(index: int) -> Header | OSError | None:
        try:
            return header(index)
        except OSError as error:
            return error

    def one_more(group: list[int], index: int) -> None:
        group[1] = group[1] if group[0] else index
        group[0] += 1

    with ThreadPoolExecutor(8, "polygan-headers") as pool:
        for start in range(0, count, _PIECE):  # a future for each picture of a large source would fill the memory
            rows = range(start, min(start + _PIECE, count))
            for index, found in zip(rows, pool.map(safe, rows), strict=True):
                if not isinstance(found, Header):
                    one_more(unread, index)
                    sure = sure and (found is None or isinstance(found, FileNotFoundError))
                    continue
                one_more(sizes.setdefault((found.width, found.height), [0, 0]), index)
                one_more(channels.setdefault(found.channels, [0, 0]), index)
                one_more(dtypes.setdefault(found.dtype, [0, 0]), index)
                if found.several:
                    one_more(several, index)
    plain = {
        "sizes": [[*size, *group] for size, group in sizes.items()],
        "channels": [[kind, *group] for kind, group in channels.items()],
        "several": several,
        "unread": unread,
        "dtypes": dtypes,
    }
    return plain, sure


def _read(found: Mapping[str, object]) -> Survey:
    """The survey from plain data. Raises TypeError or KeyError for data of another form."""
    sizes, channels, several, unread = (found[name] for name in ("sizes", "channels", "several", "unread"))
    dtypes = cast("dict[str, list[int]]", found["dtypes"])
    return Survey(
        {(w, h): Group(count, first) for w, h, count, first in _rows(sizes, 4)},
        {kind: Group(count, first) for kind, count, first in _rows(channels, 3)},
        Group(*_rows([several], 2)[0]),
        Group(*_rows([unread], 2)[0]),
        {name: Group(*_rows([group], 2)[0]) for name, group in dtypes.items()},
    )


def _rows(value: object, length: int) -> list[list[int]]:
    rows = cast("list[list[int]]", value)
    if not all(len(row) == length and all(type(v) is int for v in row) for row in rows):
        raise TypeError(f"not {length} numbers a row")
    return rows


def of_one_kind(count: int, size: tuple[int, int], channels: int, dtype: str = "uint8") -> Survey:
    """The survey of an array: all pictures have the same size, channels and type of values."""
    all_of_them, none = Group(count, 0), Group(0, 0)
    return Survey({size: all_of_them}, {channels: all_of_them}, none, none, {dtype: all_of_them})


def one_size(survey: Survey, name: Callable[[int], str]) -> tuple[int, int]:
    """The (width, height) of all pictures. Raises DataError, which names two pictures of different sizes."""
    (size, group), *others = survey.sizes.items()
    if others:
        other, there = others[0]
        one, two = (f"{name(g.first)} is {w}x{h}" for g, (w, h) in ((group, size), (there, other)))
        raise DataError(
            f"pictures differ in size ({one}, {two}); set data.resolution, e.g. --data.resolution 64, or --data.crop 64"
        )
    return size


# Facts


def size_facts(survey: Survey, made: tuple[int, int] | None, fit: str) -> list[Fact]:
    """The sizes of the pictures, and what becomes of them at the size ``made`` (width, height); None: they keep their size."""
    sizes = survey.sizes
    if not sizes:
        return []
    small, large = (f(sizes, key=lambda s: (s[0] * s[1], s)) for f in (min, max))
    usual = max(sizes, key=lambda s: (sizes[s].number, s))
    text = f"{_by(usual)}, all pictures"
    if len(sizes) > 1:
        text = f"from {_by(small)} to {_by(large)}, most often {_by(usual)} ({sizes[usual].number:,} of {survey.readable:,})"
    return [Fact("sizes", text), *([Fact("made", f"{_by(made)}{_lost(survey, made, fit)}")] if made else [])]


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _lost(survey: Survey, made: tuple[int, int], fit: str) -> str:
    """What a fit cuts away, adds or distorts, on average; and how many pictures are enlarged."""
    lost = 0.0
    skewed = enlarged = 0
    for (width, height), group in survey.sizes.items():
        across, down = made[0] / width, made[1] / height
        lost += group.number * (1 - min(across, down) / max(across, down))
        skewed += group.number * (across != down)
        enlarged += group.number * ((min(across, down) if fit == "pad" else max(across, down)) > 1)
    said = {
        "crop": f"{lost / survey.readable:.1%} of the area is cropped away",
        "pad": f"{lost / survey.readable:.1%} of the area is padding",
        "stretch": f"aspect ratio changed: {skewed:,} of {survey.readable:,}",
    }[fit]
    return "".join(
        (f"; {said}" if skewed else "", f"; enlarged: {enlarged:,} of {survey.readable:,}" if enlarged else "")
    )


def channel_facts(survey: Survey, settings: ImageSettings, channels: int) -> list[Fact]:
    """Which channels pictures have, which are made and why, and what becomes of transparency."""
    counts = {kind: survey.channels[kind].number for kind in sorted(survey.channels)}
    if "uint8" not in survey.dtypes:  # nothing says what the channels are
        return [Fact("channels", str(channels))]
    found = ", ".join(f"{n:,} {kind_of(kind)}" for kind, n in counts.items())
    text = f"{channels} ({kind_of(channels)})"
    if counts.keys() != {channels}:
        text += f"; pictures are {found}"
    if len(counts) > 1 and not settings.channels:
        text += "; 4 if more than half have alpha, 1 if all are grey, else 3; --data.channels decides otherwise"
    facts = [Fact("channels", text)]
    if clear := counts.get(4, 0):
        facts.append(
            Fact("alpha", f"{clear / survey.readable:.1%} of the pictures{_paper(survey, settings, channels)}")
        )
    return facts


def kind_of(channels: int) -> str:
    """What pictures with so many channels are."""
    return KINDS.get(channels, f"{channels} channels")


def _paper(survey: Survey, settings: ImageSettings, channels: int) -> str:
    if channels == 4:
        return ", kept; invisible pixels are black"
    if settings.background or settings.fit != "pad":
        return f", laid on {settings.background or 'white'}"
    return ", laid on white and padded white; opaque pictures are padded black; --data.background white is one for all"


def class_fact(classes: Sequence[str], counts: Sequence[int]) -> Fact:
    """The classes with their counts, the largest first."""
    order = sorted(zip(counts, classes, strict=True), key=lambda item: (-item[0], item[1]))
    shown = ", ".join(f"{name} ({count:,})" for count, name in order[:_SHOWN])
    more = f", and {len(order) - _SHOWN:,} more, the smallest with {order[-1][0]:,}" if len(order) > _SHOWN else ""
    return Fact("classes", f"{len(classes):,}: {shown}{more}")


def suffix_fact(suffixes: Sequence[str]) -> Fact:
    """How many files have which suffix."""
    found = Counter(suffixes).most_common()
    return Fact("files", ", ".join(f"{n:,} {s or 'without a suffix'}" for s, n in found))


def frames_left_out(survey: Survey, name: Callable[[int], str]) -> list[LeftOut]:
    """A line for files with further frames or pages, which are not read."""
    count, first = survey.several
    if not count:
        return []
    return [LeftOut(count, "files with further frames or pages", "the first frame of each is used", name(first))]


def unread_fact(survey: Survey, name: Callable[[int], str]) -> list[Fact]:
    """A fact for pictures whose header cannot be read."""
    count, first = survey.unread
    return [Fact("unreadable", f"{count:,} by their headers, e.g. {name(first)}")] if count else []
