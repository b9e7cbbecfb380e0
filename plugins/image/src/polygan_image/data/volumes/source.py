"""The slices of volumes as a source of pictures."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from polygan import ConfigError, DataError, Fact, LeftOut, remembered

from .. import survey
from ..sources import PictureSource
from ..values import reading
from ..values.facts import crop_facts, value_facts
from ..values.kinds import one_channels
from . import planes
from .volume import Loaded, common_type, flat_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from ..settings import ImageSettings
    from .place import VolumePlace
    from .volume import Volume

_VERSION = 1  # of which slices are without variation, and of how slices lie


class Slice(NamedTuple):
    """A slice of a source's volumes."""

    volume: int
    at: int


class VolumeSource(PictureSource):
    """Some slices of volumes along the axis of the settings."""

    half = ""
    counted = None

    def __init__(
        self, where: str, volumes: Sequence[Volume], rows: Sequence[Slice], settings: ImageSettings,
        held_out: Sequence[int] | None = None, left_out: Sequence[LeftOut] = (),
    ) -> None:  # fmt: skip
        self.where, self.volumes, self.rows, self.left_out = where, list(volumes), list(rows), list(left_out)
        self._axis, self._loaded, self.settings = planes.AXES[settings.axis], Loaded(self.volumes), settings
        self._sizes = [planes.size_of(volume.shape, self._axis) for volume in self.volumes]
        self.held_out = held_out
        self.dtype = common_type([volume.dtype for volume in self.volumes])
        self.ragged = settings.keeps_sizes
        self.seen = self._survey()
        self.least_side = self.seen.least_side
        size = settings.size
        if not (settings.resolution or self.ragged):
            size = survey.one_size(self.seen, self.name)
        channels = one_channels(self.seen, self.name, settings.channels, self.dtype)
        self._settle(settings, size, channels, None)
        self.info["axis"] = settings.axis

    def _survey(self) -> survey.Survey:
        sizes: dict[tuple[int, int], survey.Group] = {}
        for i, row in enumerate(self.rows):
            size = self._sizes[row.volume]
            known = sizes.get(size, survey.Group(0, i))
            sizes[size] = known._replace(number=known.number + 1)
        common = survey.of_one_kind(len(self.rows), next(iter(sizes)), 1, self.dtype)
        return common._replace(sizes=sizes)

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        """The volume and the slice."""
        row = self.rows[index]
        return f"{self.volumes[row.volume].name} ({self.settings.axis} slice {row.at})"

    def size_of(self, index: int) -> tuple[int, int]:
        """(width, height) of one slice."""
        return self._sizes[self.rows[index].volume]

    def fingerprint(self) -> str:
        """The volumes, the slices and the settings."""
        known = [(volume.name, volume.identity) for volume in self.volumes]
        rows = hashlib.blake2b(repr(self.rows).encode(), digest_size=16).hexdigest()
        return self._fingerprint("volumes", _VERSION, self._axis, known, rows)

    def decode(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of one slice. Raises DataError for a volume that cannot be read."""
        row = self.rows[index]
        values = planes.picture(self._loaded[row.volume], self._axis, row.at)[..., None]
        image = self._of_values(reading.as_type(values, self.dtype))
        return {**self._as_fields(image), **self._labelled(index)}

    def describe(self) -> Sequence[Fact]:
        """Volumes, slices, spacing, orientation, sizes and values."""
        across = ", ".join(sorted({"x".join(f"{step:g}" for step in _rounded(volume)) for volume in self.volumes})[:4])
        ways = Counter(volume.orientation for volume in self.volumes)
        shown = ", ".join(f"{n:,} {way}" if len(ways) > 1 else way for way, n in ways.most_common(4))
        return [
            Fact("volumes", f"{len(self.volumes):,} in {self.where}"),
            Fact("slices", f"{len(self):,} {self.settings.axis}; --data.axis chooses {_others(self.settings.axis)}"),
            Fact("spacing", f"{across} mm (right, front, top)"),
            Fact("orientation", f"{shown} in the files; slices are turned so that right, front and top are the same for all"),
            *self._split_fact(),
            *survey.size_facts(self.seen, None if self.ragged else self._size, self.settings.fit),
            *crop_facts(self.seen, self.settings),
            *survey.channel_facts(self.seen, self.settings, self._channels),
            *value_facts(self.seen, self.dtype, self.info.get("window"), self.settings.window),
        ]  # fmt: skip

    def _split_fact(self) -> list[Fact]:
        if self.held_out is None:
            return []
        kept = {row.volume for row, out in zip(self.rows, self.held_out, strict=True) if out}
        if len(self.volumes) == 1:
            text = f"the last {sum(self.held_out):,} slices, since there is one volume"
        else:
            text = f"all slices of {len(kept):,} of the {len(self.volumes):,} volumes, {sum(self.held_out):,} in number"
        return [
            Fact(
                "held out",
                f"{text}; no volume has neighbouring slices on both sides" if len(self.volumes) > 1 else text,
            )
        ]


def _rounded(volume: Volume) -> tuple[float, ...]:
    return tuple(round(step, 3) for step in volume.spacing)


def _others(axis: str) -> str:
    return " or ".join(name for name in ("axial", "coronal", "sagittal") if name != axis)


# Opening


def volume_source(place: VolumePlace, settings: ImageSettings) -> VolumeSource:
    """The slices of all volumes at a place. Raises DataError where none can be used."""
    check(settings)
    axis = planes.AXES[settings.axis]
    opened, flats, bad = [], [], []
    for file in place.files:
        try:
            volume = place.volume(file, settings.max_pixels)
            flats.append(set(flat_of(volume, axis, settings)))
            opened.append(volume)
        except (DataError, OSError) as error:
            bad.append((place.name(file), str(error)))
    left = [*place.left_out, *left_out_volumes(bad, len(place.files), settings)]
    rows, gone = varied(opened, flats, axis, settings.axis)
    return VolumeSource(
        str(place.root), opened, rows, settings, held_out_of(opened, rows, settings.held_out), [*left, *gone]
    )


def check(settings: ImageSettings) -> None:
    """Refuse settings that volumes do not have."""
    if settings.labels == "folders":
        raise ConfigError("data.labels = folders fits pictures, and these are volumes; leave --data.labels out")
    if settings.given_labels is True:
        raise ConfigError(
            "data.given_labels = true reads label maps from pictures, and these are volumes; leave --data.given_labels out"
        )
    if settings.pairs in ("left", "right"):
        raise ConfigError(
            f"data.pairs = {settings.pairs} cuts pictures in halves, and these are volumes; use --data.pairs folders"
        )


def flat_of(volume: Volume, axis: int, settings: ImageSettings) -> list[int]:
    """The slices of a volume without variation, from the cache where the volume was looked at before."""
    key = repr(("flat slices", _VERSION, volume.name, volume.identity, axis))
    return remembered(settings, key, lambda: flat_slices(volume, axis))


def left_out_volumes(bad: Sequence[tuple[str, str]], count: int, settings: ImageSettings) -> list[LeftOut]:
    """A line for each reason why volumes are not used. Raises DataError where more than ``settings.max_bad`` are not."""
    if bad and (len(bad) > count * settings.max_bad or len(bad) == count):
        name, reason = bad[0]
        more = f" ({len(bad):,} of {count:,} volumes cannot be used)" if count > 1 else ""
        raise DataError(f"{name} {_clause(name, reason)}{more}")
    return [LeftOut(1, "volume", _clause(name, reason), name) for name, reason in bad]


def _clause(name: str, reason: str) -> str:
    return reason.removeprefix(name).lstrip(": ")


def varied(
    volumes: Sequence[Volume], flats: Sequence[set[int]], axis: int, named: str
) -> tuple[list[Slice], list[LeftOut]]:
    """The slices with variation, and how many have none. ``flats``: the slices of each volume that have none."""
    rows = [Slice(v, k) for v, volume in enumerate(volumes) for k in range(volume.shape[axis]) if k not in flats[v]]
    if not rows:
        raise DataError(
            f"{volumes[0].name} holds one value everywhere, as all {len(volumes):,} volumes do; use other data"
            if len(volumes) > 1
            else f"{volumes[0].name} holds one value everywhere; use another volume"
        )
    count = sum(len(flat) for flat in flats)
    first = next((v for v, flat in enumerate(flats) if flat), 0)
    if not count:
        return rows, []
    example = f"{volumes[first].name}, slice {min(flats[first])}"
    return rows, [LeftOut(count, f"{named} slices", "all their values are the same", example)]


def held_out_of(volumes: Sequence[Volume], rows: Sequence[Slice], share: float) -> list[int] | None:
    """1 for each slice that is kept from training: the slices of whole volumes, or the last slices of the only volume.

    Neighbouring slices are nearly the same, so a volume never lies on both sides. None: nothing is held out.
    """
    if not share or len(rows) < 2:
        return None
    if len(volumes) == 1:
        first = len(rows) - max(1, min(round(len(rows) * share), len(rows) - 1))
        return [int(i >= first) for i in range(len(rows))]
    there = sorted({row.volume for row in rows}, key=_order(volumes))
    kept = set(there[: max(1, min(round(len(there) * share), len(there) - 1))])
    return [int(row.volume in kept) for row in rows]


def _order(volumes: Sequence[Volume]) -> Callable[[int], bytes]:
    """A pseudo-random order of volumes that depends on their names below the common folder alone."""
    names = [volume.name for volume in volumes]
    common = len(_common(names))
    return lambda v: hashlib.blake2b(names[v][common:].encode(), digest_size=16).digest()


def _common(names: Sequence[str]) -> str:
    low, high = min(names), max(names)
    return next((low[:i] for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), low)
