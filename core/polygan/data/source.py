"""Samples that are not decoded yet: settings of data, the fields of a sample, and the sources that read them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ..settings.ranges import Checked, ranged

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np


Batch = dict[str, torch.Tensor]
"""A batch: named tensors whose first dimension is the number of samples."""


@dataclass(frozen=True, kw_only=True)
class DataSettings(Checked, group="data"):
    """Settings that every domain has. A domain adds its own in a frozen subclass."""

    source: str = ""
    """A folder, a file, or the name of a data set (`polygan list`)."""
    held_out: float = ranged(0.1, "[0, 0.9]", usual=0.1)
    """Share of the samples that is kept from training and used for scores."""
    max_bad: float = ranged(0.1, "[0, 1]", usual=0.1)
    """Largest share of unreadable samples that is skipped with a warning; a larger one is an error."""
    cache: str = ""
    """Folder of decoded data; empty: $POLYGAN_CACHE, else ~/.cache/polygan."""


class Field(NamedTuple):
    """One array that each sample has. ``shape`` with a leading None: of variable length along the first dimension."""

    dtype: str
    shape: tuple[int | None, ...]

    @property
    def ragged(self) -> bool:
        """Whether samples differ in length."""
        return len(self.shape) > 0 and self.shape[0] is None


class Source(ABC):
    """Samples that are not decoded yet. `polygan.data.build_store` decodes them once, in parallel threads."""

    fields: Mapping[str, Field]
    """The arrays of a sample; dtype and shape hold for every sample. A field ``held_out`` (0 or 1) is a split of the source's own."""
    info: dict[str, Any]
    """Facts that networks are built from, as JSON data (shape, classes, rate, ...). Saved with the run."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples, readable or not."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A string that changes whenever the decoded samples would: paths, sizes, modification times, settings."""

    @abstractmethod
    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """The arrays of one sample. Raises `polygan.DataError` (or OSError, ValueError) for one that cannot be read."""

    def name(self, index: int) -> str:
        """What to call a sample in a message: its file, or its row."""
        return f"sample {index}"
