"""What the core needs to know of a kind of sample: how it is read, written, drawn and compared.

The core knows no domain. A plugin subclasses `Domain` (one instance per process, no state) and `Source`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .source import Batch, DataSettings, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch

    from .pieces import Piece
    from .store import Split


@dataclass
class Samples:
    """Samples of a domain, generated or real. ``data`` is what the domain says (images: (n, C, H, W) floats in [-1, 1]).

    ``labels`` are class indices, ``kind`` tells a domain that the order has a meaning (``"grid"``: rows of
    ``columns`` samples each, ``"walk"``: neighbours along a path).
    """

    data: Any
    domain: Domain
    labels: torch.Tensor | None = None
    classes: Sequence[str] = ()
    kind: str = "set"
    columns: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.data)

    def save(self, path: str | Path) -> list[Path]:
        """Write to a file with one of the domain's suffixes (all samples in one, e.g. a grid), or else to a folder."""
        return self.domain.write(self, Path(path))


class Domain(ABC):
    """A kind of sample. Instances hold no state."""

    id: ClassVar[str]
    Settings: ClassVar[type[DataSettings]] = DataSettings

    @abstractmethod
    def open(self, settings: Any) -> Source:
        """The source that ``settings.source`` (a path) names. Named data sets are resolved by the core before.

        Raises `polygan.DataError` when it is missing, empty or of no kind that the domain reads.
        """

    def collate(self, split: Split, rows: np.ndarray, draws: np.ndarray) -> Batch:
        """A batch on the CPU from store rows (n,); ``draws`` (n, 4) are uniform in [0, 1), a pure function of (seed, batch).

        The default stacks every field, which fits fields of one shape.
        """
        return {name: split.store.gather(name, rows) for name in split.store.fields}

    def prepare(self, batch: Batch) -> Batch:
        """What networks see of a collated batch, computed on the training device (uint8 to float, ...)."""
        return batch

    def batch_of(self, samples: Samples) -> Batch | None:
        """Generated samples in the form that `prepare` gives, for a discriminator to judge; None: not to be had."""
        return None

    @abstractmethod
    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """Real samples of these rows, in the form that generated ones have."""

    @abstractmethod
    def write(self, samples: Samples, path: Path) -> list[Path]:
        """Write samples to one file (known suffix) or into a folder; returns the files written."""

    @abstractmethod
    def render(self, samples: Samples) -> list[Piece]:
        """How a report shows the samples."""

    @abstractmethod
    def features(self, samples: Samples) -> torch.Tensor:
        """(n, d) float features for cheap distances between samples (health signals), not for scores."""
