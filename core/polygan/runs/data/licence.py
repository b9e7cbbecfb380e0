"""The licence of the data of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...plugins.catalogue import get_catalogue

if TYPE_CHECKING:
    from ...settings.parser import Settings


def licence_of(settings: Settings) -> str:
    """The licence that the named data set of a run names (`DatasetSpec.licence`); empty where the data is no named data set."""
    spec = get_catalogue().datasets.get(settings.data.source)
    return spec.licence if spec else ""
