"""Sources of samples that are not decoded yet, the settings of data, and the fields of a sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch

from ..settings.ranges import Checked, ranged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np


Batch = dict[str, torch.Tensor]
"""A batch: named tensors whose first dimension is the number of samples."""


@dataclass(frozen=True, kw_only=True)
class DataSettings(Checked, group="data"):
    """Settings that every domain has. A domain adds its own in a frozen subclass."""

    paths: ClassVar[tuple[str, ...]] = ("source", "cache")
    """The names of settings that are paths. A run finds them again from another working folder, or where it was moved with them."""
    source: str = ""
    """A folder, a file, or the name of a data set (`polygan list`)."""
    held_out: float = ranged(0.1, "[0, 0.9]", usual=0.1)
    """Share of the samples that training does not see and scores use."""
    max_bad: float = ranged(0.1, "[0, 1]", usual=0.1)
    """Largest share of unreadable samples that is skipped with a warning; a larger share is an error."""
    cache: str = ""
    """Folder of decoded data; empty: $POLYGAN_CACHE, else the system's folder for caches."""


class Field(NamedTuple):
    """One array that each sample has. A leading None in ``shape`` means a variable length along the first dimension."""

    dtype: str
    shape: tuple[int | None, ...]

    @property
    def ragged(self) -> bool:
        """Whether samples differ in length."""
        return len(self.shape) > 0 and self.shape[0] is None


class Fact(NamedTuple):
    """A line about data that is not decoded yet: ``Fact("size", "64x64, from 72x72 to 640x480")``."""

    name: str
    text: str


class LeftOut(NamedTuple):
    """Things of one kind that a source does not use: ``LeftOut(12, ".svg files", "vector graphics are not read", "a/b.svg")``."""

    count: int  # pyright: ignore[reportIncompatibleMethodOverride]  # nobody counts the values of this tuple
    what: str
    why: str
    example: str = ""


class Source(ABC):
    """Samples that are not decoded yet. `polygan.data.build_store` decodes them once, in parallel threads."""

    fields: Mapping[str, Field]
    """The arrays of a sample; dtype and shape hold for every sample. A field ``held_out`` (0 or 1) is the source's own split."""
    info: dict[str, Any]
    """JSON data that networks are built from (shape, classes, rate, ...). Saved with the run."""
    left_out: Sequence[LeftOut] = ()
    """What lies at the source's place and is not used. A run's first lines and `polygan data` name each."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples, readable or not."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A string that changes whenever the decoded samples change: paths, sizes, modification times, settings."""

    @abstractmethod
    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """The arrays of one sample. Raises `polygan.DataError` (or OSError, ValueError) for an unreadable sample."""

    def name(self, index: int) -> str:
        """The name of a sample in messages: its file, or its row."""
        return f"sample {index}"

    def describe(self) -> Sequence[Fact]:
        """What a user wants to know before samples are decoded: sizes, lengths, rates, classes, shares cut away.

        A run's first lines and `polygan data` show the facts in this order. The core adds counts and splits.
        """
        return ()

    def info_without(self, skipped: Sequence[int]) -> dict[str, Any]:
        """`info` once the samples at the indices ``skipped`` turned out to be unreadable (for counts of classes)."""
        return self.info
