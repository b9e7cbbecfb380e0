"""Pairs of volumes: two folders of the same names, whose slices belong together by their index."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from polygan import DataError, Fact

from ..pairs.layout import Pair, paired
from ..pairs.source import PairedSource
from . import planes, source
from .source import Slice, VolumeSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..settings import ImageSettings
    from .place import VolumePlace
    from .volume import Volume


def paired_volumes(place: VolumePlace, settings: ImageSettings) -> PairedSource:
    """The pairs of slices in two folders of volumes. Slices are left out where the given slice has no variation."""
    source.check(settings)
    pairing, axis = paired(place, settings.given), planes.AXES[settings.axis]
    pairs, made, given, flats, bad = [], [], [], [], []
    for pair in pairing.pairs:
        try:
            both = _both(place, pair, settings)
            source.flat_of(both[0], axis, settings)  # a volume that cannot be read is named here
            flats.append(set(source.flat_of(both[1], axis, settings)))
        except (DataError, OSError) as error:
            bad.append((place.name(pair.made), str(error)))
            continue
        pairs.append(pair)
        made.append(both[0])
        given.append(both[1])
    left = [*place.left_out, *pairing.left_out, *source.left_out_volumes(bad, len(pairing.pairs), settings)]
    rows, gone = source.varied(given, flats, axis, f"given {settings.axis}")
    own = [pairs[row.volume].held_out for row in rows]
    held_out = own if any(own) else source.held_out_of(made, rows, settings.held_out)
    common = replace(settings, pairs="", given="", given_window="")
    theirs = replace(common, channels=0, window=settings.given_window)
    sides = (
        _side(place, made, rows, common, held_out),
        _side(place, given, rows, theirs, None),
    )
    return PairedSource(*sides, "folders", _facts(pairing.given, pairing.made, len(pairs)), [*left, *gone])


def _side(
    place: VolumePlace, volumes: Sequence[Volume], rows: Sequence[Slice], settings: ImageSettings, held_out: Sequence[int] | None
) -> VolumeSource:  # fmt: skip
    return VolumeSource(str(place.root), volumes, rows, settings, held_out)


def _both(place: VolumePlace, pair: Pair, settings: ImageSettings) -> tuple[Volume, Volume]:
    """The volumes of a pair. Raises DataError for volumes of different shapes."""
    made = place.volume(pair.made, settings.max_pixels)
    try:
        given = place.volume(pair.given, settings.max_pixels)
    except DataError as error:
        raise DataError(f"has a partner, {place.name(pair.given)}, that {error}") from None
    if made.shape != given.shape:
        one, two = ("x".join(map(str, volume.shape)) for volume in (made, given))
        raise DataError(f"has {one} values, and its partner {given.name} has {two}; resample one of both to the other")
    return made, given


def _facts(given: str, made: str, count: int) -> list[Fact]:
    which = f"volumes in {given} are given, volumes in {made} are made; --data.given {made} turns the pairs round"
    return [Fact("pairs", f"{count:,} {'pair' if count == 1 else 'pairs'} of volumes: {which}")]
