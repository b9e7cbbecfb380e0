"""How a kind of sample is read, written, shown and compared: a plugin subclasses `Domain` (one stateless instance a process)."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import torch

from ..errors import ConfigError, DataError
from .pieces import to_html
from .rows.arrays import as_numpy, rows_of, summary
from .saving import check_folder, file_suffix, save_folder
from .source import Batch, DataSettings, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

    from ..files import Facts
    from .pieces import Piece
    from .rows.arrays import Arrays
    from .store import Split


@dataclass(repr=False)
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
    """What the order means: ``"grid"``: rows of ``columns`` samples, ``"walk"``: neighbours along a path, ``"frames"``: neighbours in time
    or space, whose pieces of a file are all made with the random numbers of the first."""
    columns: int = 0
    names: Sequence[str] = ()
    """The name of each sample, for its caption and its file; empty: samples are numbered."""
    origins: Sequence[str] = ()
    """Where each sample of a run's data comes from: the file, from the data's folder on, and the place in the file. For captions alone."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further values that the domain keeps for the samples."""

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        """The single samples, e.g. a tensor (C, H, W) or a text each."""
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        """A single sample by its number, or the `Samples` of a slice, of a list of numbers, or of a mask (n,)."""
        rows = rows_of(index, len(self))
        if isinstance(rows, int):
            return self.domain.one(self, rows) if self.domain else self.data[rows]
        return self.domain.part(self, rows) if self.domain else part_of(self, rows)

    def __repr__(self) -> str:
        return f"Samples({', '.join(summary(self))})"

    def _repr_html_(self) -> str:
        """The samples as a notebook shows them: pictures, players or texts."""
        pieces = self.domain.render(self) if self.domain is not None and len(self) else []
        return to_html(repr(self), [vars(piece) for piece in pieces])

    def numpy(self) -> np.ndarray:
        """The data as one NumPy array. ConfigError for samples that are no tensor of one shape."""
        return as_numpy(self.data)

    def pil(self) -> list[Any]:
        """A Pillow picture of each sample. ConfigError where the samples are no pictures (`Domain.pil`)."""
        if self.domain is None:
            raise ConfigError("these samples belong to no domain; make them with Run.generate, or use .numpy()")
        return self.domain.pil(self)

    def class_names(self) -> list[str]:
        """The name of each sample's class (n,); empty where the samples have no classes."""
        if self.labels is None or not self.classes:
            return []
        return [self.classes[c] if 0 <= c < len(self.classes) else str(c) for c in map(int, self.labels)]

    def save(self, path: str | Path) -> list[Path]:
        """Write all samples to one file (e.g. a grid) where ``path`` has a suffix, else to a folder; returns the files.

        In a folder the samples replace the earlier samples that were saved there, as a whole. Raises ConfigError for a suffix
        that the domain does not write, and for a folder with other files of the domain's kinds.
        """
        domain = self.domain
        if domain is None:
            raise ConfigError("these samples belong to no domain; make them with Run.generate, or pass domain=...")
        if domain.suffix_of(path, self.kind):
            return domain.write(self, Path(path))
        return save_folder(Path(path), lambda folder: domain.write(self, folder), (*domain.writes, *domain.animates))


class Domain(ABC):
    """A kind of sample. Instances hold no state."""

    id: ClassVar[str]
    Settings: ClassVar[type[DataSettings]] = DataSettings
    draws: ClassVar[int] = 4
    """Number of random numbers that `collate` gets for each sample."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Suffixes of the files that `read` takes, in lower case: ``(".png", ".jpg")``."""
    opens: ClassVar[tuple[str, ...]] = ()
    """Further suffixes of files that `open` takes as data: tables, archives. `polygan data` tells the domain by both."""
    writes: ClassVar[tuple[str, ...]] = ()
    """Suffixes of the files that `write_file` writes, the usual suffix first."""
    is_text: ClassVar[bool] = False
    """Whether samples are texts: a string that a caller hands in is then a sample, and no path."""
    animates: ClassVar[tuple[str, ...]] = ()
    """Further suffixes of files that `write` writes for samples of kind ``"frames"``: ``(".gif",)``."""

    @abstractmethod
    def open(self, settings: Any) -> Source:
        """The source at the path ``settings.source``. The core opens named data sets itself.

        Raises `polygan.DataError` where the path is missing, empty or of a kind that the domain does not read.
        """

    def source_of(self, arrays: Arrays, settings: Any) -> Source:
        """The source of samples that a script hands in, as `open` gives for a path. Raises DataError for a wrong shape or type."""
        raise DataError(f"domain {self.id!r} takes no arrays; save them as files, and pass the path as data")

    def collate(self, split: Split, rows: np.ndarray, draws: np.ndarray) -> Batch:
        """A batch on the CPU from store rows (n,); ``draws`` (n, `draws`) are uniform in [0, 1), a pure function of (seed, batch).

        The default stacks every field. A domain whose samples differ in length overrides it.
        """
        return {name: split.store.gather(name, rows) for name in split.store.fields}

    def costs(self, split: Split) -> np.ndarray | None:
        """What each row of a split costs (len(split),), in the order of ``split.rows``, such as the length of a clip; None: all cost the same.

        With costs, batches hold rows of like cost: an epoch is sorted within shuffled windows of about 24 batches.
        """
        return None

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

    def paired(self, info: Facts) -> bool:
        """Whether `real` of a row is the truth for what is made from `given` of this row. Default: True.

        False for data whose rows have no truth: two sides, of which no sample belongs to a sample of the other side.
        """
        return True

    def read(self, path: Path, info: Facts) -> Iterator[Samples]:
        """The samples of a user's file, with their names. A long sample comes in pieces, so that memory stays bounded.

        ``info`` are the facts of the data that the run was trained on. Raises `polygan.DataError` for an unreadable file.
        """
        raise ConfigError(f"domain {self.id!r} reads no files of users; leave --input out")

    def is_one(self, folder: Path) -> bool:
        """Whether `read` takes a folder as one sample, such as a series of slices. Default: each of its files is read."""
        return False

    def read_text(self, lines: Iterable[str], info: Facts) -> Iterator[Samples]:
        """The samples in lines of text, for domains with a textual form (standard input)."""
        raise ConfigError(f"domain {self.id!r} has no textual form; name a file or a folder with --input")

    def complete(self, made: Samples, given: Samples | None, info: Facts) -> Samples:
        """Made samples with what `write` needs of the data and of the given samples (units, a header). Default: unchanged.

        ``given`` is None for samples from noise, and for the pieces of `HasStream.stream`, which hands on what it needs.
        """
        return made

    def take(self, value: Any, info: Facts) -> Samples:
        """Samples from an array, a tensor or a list that a caller passes in Python. Default: ``value`` unchanged."""
        return Samples(value, self)

    def pil(self, samples: Samples) -> list[Any]:
        """Pillow pictures of samples that are pictures, one each."""
        raise ConfigError(f"samples of domain {self.id!r} are no pictures; use .numpy(), or .save(PATH)")

    def join(self, pieces: Iterable[Samples]) -> Samples:
        """The pieces of one file, or the pieces that were made from them, joined. Default: their samples in a row."""
        first, *more = pieces
        if not more:
            return first
        data = [piece.data for piece in (first, *more)]
        whole = torch.cat(data) if torch.is_tensor(first.data) else [x for part in data for x in part]
        return dataclasses.replace(first, data=whole, names=[n for p in (first, *more) for n in p.names], origins=())

    def one(self, samples: Samples, index: int) -> Any:
        """A single sample, as iterating over `Samples` yields it. Default: ``samples.data[index]``."""
        return samples.data[index]

    def part(self, samples: Samples, rows: Sequence[int]) -> Samples:
        """Some of the samples, in the order of ``rows``. Default: rows of the data, labels, names, and of `Samples.extra`.

        A tensor or list in `Samples.extra` that is as long as the samples counts as one value for each sample.
        """
        return part_of(samples, rows)

    def comparable(self, info: Facts, other: Facts) -> str:
        """Why networks of data with the facts ``other`` cannot go on with data with the facts ``info`` (``--init_from``); empty: they can."""
        return ""

    def suffix_of(self, path: str | Path, kind: str | None = None) -> str:
        """The suffix of the file ``path``, in lower case; empty for a folder. ConfigError for one not written for ``kind`` (None: any kind)."""
        suffix = file_suffix(path, self.writes)
        known = (*self.writes, *self.animates) if kind in (None, "frames") else self.writes
        if not suffix or not self.writes or suffix in known:
            return suffix
        moving = f", and for an animation {', '.join(self.animates)}" if self.animates else ""
        raise ConfigError(
            f"{path}: domain {self.id!r} writes {', '.join(self.writes)}{moving}; use one of these suffixes, or name a folder (no suffix)"
        )

    def made_suffix(self, path: Path, info: Facts) -> str:
        """The suffix, one of `writes`, of what is made from the domain's own file ``path``, if the user names none. Default: the first."""
        return self.writes[0]

    def check_place(self, path: str | Path) -> None:
        """Refuse, before samples are made, a place that `Samples.save` would refuse for every kind of samples."""
        if not self.suffix_of(path):
            check_folder(Path(path), (*self.writes, *self.animates))

    def write_file(self, pieces: Iterable[Samples], path: Path) -> None:
        """Write the pieces of one sample into one file with a suffix of `writes`. Default: `write` of the joined pieces."""
        self.write(self.join(pieces), path)

    def lines(self, samples: Samples) -> Iterable[str]:
        """Samples as lines of text, for domains with a textual form (standard output)."""
        raise ConfigError(f"domain {self.id!r} has no textual form; name a file or a folder with --out")

    def pour(self, pieces: Iterable[Samples], stream: BinaryIO, format: str) -> None:
        """Write the pieces of a sample to a stream as they come (``--out -``); ``format``: empty is the usual, ConfigError for an unknown."""
        raise ConfigError(f"domain {self.id!r} writes no stream of bytes; name a file or a folder with --out")

    @abstractmethod
    def write(self, samples: Samples, path: Path) -> list[Path]:
        """Write samples to one file (known suffix) or into a folder; returns the files written."""

    @abstractmethod
    def render(self, samples: Samples) -> list[Piece]:
        """The pictures, sounds or texts by which a report shows the samples."""

    def beside(self, given: Samples, made: Samples, truth: Samples | None, info: Facts) -> list[Piece]:
        """Pieces for a report that show each given sample beside the sample made from it, and beside its truth.

        ``info`` are the facts of the run's data. Default: none, so that a report shows what was made beside what is real.
        """
        return []

    @abstractmethod
    def features(self, samples: Samples) -> torch.Tensor:
        """(n, d) float features for cheap distances between samples (health signals), not for scores."""


def part_of(samples: Samples, rows: Sequence[int]) -> Samples:
    """The samples of these rows, without code of the domain."""
    n, rows = len(samples), list(rows)

    def some(values: Any) -> Any:
        if torch.is_tensor(values) and values.ndim and len(values) == n:
            return values[torch.tensor(rows, dtype=torch.long, device=values.device)]
        return [values[i] for i in rows] if isinstance(values, list | tuple) and len(values) == n else values

    columns, in_order = samples.columns, bool(rows) and rows == list(range(rows[0], rows[0] + len(rows)))
    whole = bool(columns) and in_order and rows[0] % columns == 0 and len(rows) % columns == 0
    return dataclasses.replace(
        samples,
        data=some(samples.data),
        labels=some(samples.labels),
        names=some(samples.names),
        origins=some(samples.origins),
        extra={key: some(value) for key, value in samples.extra.items()},
        kind=samples.kind if whole or (samples.kind == "frames" and in_order) else "set",
        columns=columns if whole else 0,
    )
