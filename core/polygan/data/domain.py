"""Domains: how a kind of sample is read, written, shown and compared.

The core itself knows no domain. A plugin subclasses `Domain` (one instance per process, no state) and `Source`.
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
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

    from ..files import Facts
    from .pieces import Piece
    from .store import Split


@dataclass
class Samples:
    """Samples of a domain: generated, real or given. Each domain defines its ``data``, e.g. floats (n, C, H, W) in [-1, 1]."""

    data: Any
    domain: Domain | None = None
    """The domain that writes and shows the samples. A recipe leaves it out, and polygan fills it in."""
    labels: torch.Tensor | None = None
    """Class indices (n,)."""
    classes: Sequence[str] = ()
    """The names of all classes."""
    kind: str = "set"
    """What the order of the samples means: ``"grid"``: rows of ``columns`` samples each, ``"walk"``: neighbours along a path."""
    columns: int = 0
    names: Sequence[str] = ()
    """The name of each sample, for its caption and its file; empty: samples are numbered."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further values that the domain keeps for the samples."""

    def __len__(self) -> int:
        return len(self.data)

    def save(self, path: str | Path) -> list[Path]:
        """Write all samples to one file (e.g. a grid) where ``path`` has a suffix of the domain, else to a folder."""
        if self.domain is None:
            raise ConfigError("these samples belong to no domain; make them with Run.generate, or pass domain=...")
        return self.domain.write(self, Path(path))


class Domain(ABC):
    """A kind of sample. Instances hold no state."""

    id: ClassVar[str]
    Settings: ClassVar[type[DataSettings]] = DataSettings
    draws: ClassVar[int] = 4
    """Number of random numbers that `collate` gets for each sample."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Suffixes of the files that `read` takes, in lower case: ``(".png", ".jpg")``."""
    writes: ClassVar[tuple[str, ...]] = ()
    """Suffixes of the files that `write_file` writes, the usual suffix first."""

    @abstractmethod
    def open(self, settings: Any) -> Source:
        """The source at the path ``settings.source``. The core opens named data sets itself.

        Raises `polygan.DataError` where the path is missing, empty or of a kind that the domain does not read.
        """

    def collate(self, split: Split, rows: np.ndarray, draws: np.ndarray) -> Batch:
        """A batch on the CPU from store rows (n,); ``draws`` (n, `draws`) are uniform in [0, 1), a pure function of (seed, batch).

        The default stacks every field. A domain whose samples differ in length overrides it.
        """
        return {name: split.store.gather(name, rows) for name in split.store.fields}

    def prepare(self, batch: Batch, info: Facts) -> Batch:
        """The batch that networks see, made from a collated batch on the training device (e.g. uint8 to float).

        ``info`` are the facts of the source (`Source.info`).
        """
        return batch

    def batch_of(self, samples: Samples) -> Batch | None:
        """Generated samples as a batch that a discriminator takes, in the form that `prepare` gives; None: not possible."""
        return None

    @abstractmethod
    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """Real samples of these rows, in the form that generated samples have."""

    def given(self, split: Split, rows: np.ndarray) -> Samples:
        """What a recipe is given to make the samples of these rows, in the form that `read` yields. Default: `real`."""
        return self.real(split, rows)

    def read(self, path: Path, info: Facts) -> Iterator[Samples]:
        """The samples of a user's file, with their names. A long sample comes in pieces, so that memory stays bounded.

        ``info`` are the facts of the data that the run was trained on. Raises `polygan.DataError` for an unreadable file.
        """
        raise ConfigError(f"domain {self.id!r} reads no files of users; leave --input out")

    def read_text(self, lines: Iterable[str], info: Facts) -> Iterator[Samples]:
        """The samples in lines of text, for domains with a textual form (standard input)."""
        raise ConfigError(f"domain {self.id!r} has no textual form; name a file or a folder with --input")

    def take(self, value: Any, info: Facts) -> Samples:
        """Samples from an array, a tensor or a list that a caller passes in Python. Default: ``value`` unchanged."""
        return Samples(value, self)

    def join(self, pieces: Iterable[Samples]) -> Samples:
        """The pieces of one file, or the pieces that were made from them, joined. Default: their samples in a row."""
        first, *more = pieces
        if not more:
            return first
        data = [piece.data for piece in (first, *more)]
        whole = torch.cat(data) if torch.is_tensor(first.data) else [x for part in data for x in part]
        return dataclasses.replace(first, data=whole, names=[n for p in (first, *more) for n in p.names])

    def write_file(self, pieces: Iterable[Samples], path: Path) -> None:
        """Write the pieces of one sample into one file with a suffix of `writes`. Default: `write` of the joined pieces."""
        self.write(self.join(pieces), path)

    def lines(self, samples: Samples) -> Iterable[str]:
        """Samples as lines of text, for domains with a textual form (standard output)."""
        raise ConfigError(f"domain {self.id!r} has no textual form; name a file or a folder with --out")

    @abstractmethod
    def write(self, samples: Samples, path: Path) -> list[Path]:
        """Write samples to one file (known suffix) or into a folder; returns the files written."""

    @abstractmethod
    def render(self, samples: Samples) -> list[Piece]:
        """The pictures, sounds or texts by which a report shows the samples."""

    @abstractmethod
    def features(self, samples: Samples) -> torch.Tensor:
        """(n, d) float features for cheap distances between samples (health signals), not for scores."""
