"""What the core needs to know of a kind of sample: how it is read, written, drawn and compared.

The core knows no domain. A plugin subclasses `Domain` (one instance per process, no state) and `Source`.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from ..errors import ConfigError
from .source import Batch, DataSettings, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np

    from .pieces import Piece
    from .store import Split


@dataclass
class Samples:
    """Samples of a domain: generated, real or given. ``data`` is what the domain says (e.g. floats (n, C, H, W) in [-1, 1])."""

    data: Any
    domain: Domain | None = None
    """The domain that can write and draw the samples; polygan fills it in for what recipes return."""
    labels: torch.Tensor | None = None
    """Class indices (n,)."""
    classes: Sequence[str] = ()
    """The names of all classes."""
    kind: str = "set"
    """What the order means: ``"grid"`` is rows of ``columns`` samples each, ``"walk"`` is neighbours along a path."""
    columns: int = 0
    names: Sequence[str] = ()
    """What each sample is called, for its caption and its file; empty: numbers."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What the domain keeps beside the data of each sample."""

    def __len__(self) -> int:
        return len(self.data)

    def save(self, path: str | Path) -> list[Path]:
        """Write to a file with one of the domain's suffixes (all samples in one, e.g. a grid), or else to a folder."""
        if self.domain is None:
            raise ConfigError("these samples belong to no domain; make them with Run.generate, or pass domain=...")
        return self.domain.write(self, Path(path))


class Domain(ABC):
    """A kind of sample. Instances hold no state."""

    id: ClassVar[str]
    Settings: ClassVar[type[DataSettings]] = DataSettings
    draws: ClassVar[int] = 4
    """Random numbers that `collate` is given for each sample."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Suffixes of the files that `read` takes, in lower case: ``(".png", ".jpg")``."""
    writes: ClassVar[tuple[str, ...]] = ()
    """Suffixes of the files that `write_file` makes, the usual one first."""

    @abstractmethod
    def open(self, settings: Any) -> Source:
        """The source that ``settings.source`` (a path) names. Named data sets are resolved by the core before.

        Raises `polygan.DataError` when it is missing, empty or of no kind that the domain reads.
        """

    def collate(self, split: Split, rows: np.ndarray, draws: np.ndarray) -> Batch:
        """A batch on the CPU from store rows (n,); ``draws`` (n, `draws`) are uniform in [0, 1), a pure function of (seed, batch).

        The default stacks every field, which fits fields of one shape.
        """
        return {name: split.store.gather(name, rows) for name in split.store.fields}

    def prepare(self, batch: Batch, info: Mapping[str, Any]) -> Batch:
        """What networks see of a collated batch, computed on the training device (uint8 to float, a pair derived from a sample).

        ``info`` are the facts of the source (`Source.info`).
        """
        return batch

    def batch_of(self, samples: Samples) -> Batch | None:
        """Generated samples in the form that `prepare` gives, for a discriminator to judge; None: not to be had."""
        return None

    @abstractmethod
    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """Real samples of these rows, in the form that generated ones have."""

    def given(self, split: Split, rows: np.ndarray) -> Samples:
        """What the samples of these rows are made from, in the form that `read` of the given domain yields; default: `real`."""
        return self.real(split, rows)

    def read(self, path: Path, info: Mapping[str, Any]) -> Iterator[Samples]:
        """The samples of a user's file, with their names. A long sample comes in pieces, so that memory does not depend on its length.

        ``info`` are the facts of the data that the run was trained on. Raises `polygan.DataError` for what cannot be read.
        """
        raise ConfigError(f"domain {self.id!r} reads no files of users; leave --input out")

    def read_text(self, lines: Iterable[str], info: Mapping[str, Any]) -> Iterator[Samples]:
        """The samples that lines of text hold, for domains with a textual form (standard input)."""
        raise ConfigError(f"domain {self.id!r} has no textual form; name a file or a folder with --input")

    def take(self, value: Any, info: Mapping[str, Any]) -> Samples:
        """Samples of an array, a tensor or a list that a caller hands over in Python; default: as they are."""
        return Samples(value, self)

    def join(self, pieces: Iterable[Samples]) -> Samples:
        """The pieces that `read` made of one file, or what they became, as one value. Default: their samples in a row."""
        first, *more = pieces
        if not more:
            return first
        data = [piece.data for piece in (first, *more)]
        whole = torch.cat(data) if torch.is_tensor(first.data) else [x for part in data for x in part]
        return dataclasses.replace(first, data=whole, names=[n for p in (first, *more) for n in p.names])

    def write_file(self, pieces: Iterable[Samples], path: Path) -> None:
        """Write what the pieces of one file became into one file, whose suffix is one of `writes`. Default: joined, with `write`."""
        self.write(self.join(pieces), path)

    def lines(self, samples: Samples) -> Iterable[str]:
        """Samples as lines of text, for domains with a textual form (standard output)."""
        raise ConfigError(f"domain {self.id!r} has no textual form; name a file or a folder with --out")

    @abstractmethod
    def write(self, samples: Samples, path: Path) -> list[Path]:
        """Write samples to one file (known suffix) or into a folder; returns the files written."""

    @abstractmethod
    def render(self, samples: Samples) -> list[Piece]:
        """How a report shows the samples."""

    @abstractmethod
    def features(self, samples: Samples) -> torch.Tensor:
        """(n, d) float features for cheap distances between samples (health signals), not for scores."""
