"""One type of values and one number of channels for the pictures of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygan import ConfigError, DataError

from ..survey import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..survey import Survey


def one_type(survey: Survey, name: Callable[[int], str], *, arrays: bool) -> str:
    """The type in which the values of all pictures are stored. Beside pictures of 8 bits, deeper pictures are scaled to 8 bits.

    Raises DataError, which names two pictures, where no type holds all: that is so for all ``arrays`` of several types.
    """
    (one, group), *others = survey.dtypes.items()
    if not others:
        return one
    if "uint8" in survey.dtypes and not arrays:
        return "uint8"
    other, there = others[0]
    raise DataError(
        f"pictures have different types of values ({name(group.first)} is {one}, {name(there.first)} is {other}); convert them to one type"
    )


def one_channels(survey: Survey, name: Callable[[int], str], wanted: int, dtype: str) -> int:
    """The channels of the stored pictures. Only pictures of 8 bits in grey or colour, with or without alpha, are converted."""
    if dtype == "uint8" and survey.channels.keys() <= KINDS.keys():
        return wanted or survey.decided_channels()
    (one, group), *others = survey.channels.items()
    if others:
        other, there = others[0]
        raise DataError(
            f"pictures have different channels ({name(group.first)} has {one}, {name(there.first)} has {other}); leave some out, or convert them"
        )
    if wanted not in (0, one):
        raise ConfigError(
            f"data.channels = {wanted}: the pictures have {one} {'channel' if one == 1 else 'channels'} of {dtype} values, which keep "
            "their channels; leave --data.channels out"
        )
    return one
