"""What the core needs to know of a kind of sample: how it is read, written, drawn and compared.

The core knows no domain. A plugin subclasses `Domain` (one instance per process, no state) and `Source`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch

from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from .data import Split
    from .recipe import Recipe

Batch = dict[str, torch.Tensor]
"""A batch: named tensors whose first dimension is the number of samples."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Settings that every domain has. A domain adds its own in a frozen subclass."""

    source: str = ""
    """A folder, a file, or the name of a data set (`polygan list`)."""
    held_out: float = 0.1
    """Share of the samples that is kept from training and used for scores, [0, 0.9]."""
    max_bad: float = 0.1
    """Largest share of unreadable samples that is skipped with a warning before it is an error, [0, 1]."""
    cache: str = ""
    """Folder of decoded data; empty: $POLYGAN_CACHE, else ~/.cache/polygan."""

    def __post_init__(self) -> None:
        if not 0 <= self.held_out <= 0.9:
            raise ConfigError(f"data.held_out = {self.held_out} is outside [0, 0.9]; 0.1 is usual")
        if not 0 <= self.max_bad <= 1:
            raise ConfigError(f"data.max_bad = {self.max_bad} is outside [0, 1]; 0.1 is usual")


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


@dataclass(frozen=True)
class Picture:
    """A PNG to show."""

    png: bytes
    caption: str = ""


@dataclass(frozen=True)
class Sound:
    """A WAV to play, with an optional PNG (waveform, spectrogram) beside it. ``rate`` in Hz."""

    wav: bytes
    rate: int
    caption: str = ""
    png: bytes | None = None


@dataclass(frozen=True)
class Passage:
    """Text to read, as it is: the report escapes it."""

    text: str
    caption: str = ""


Piece = Picture | Sound | Passage


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


@dataclass(frozen=True)
class Score:
    """One number of a metric. ``floor`` is what held-out real samples get against real ones."""

    name: str
    value: float
    floor: float | None = None
    better: str = "lower"
    note: str = ""


@dataclass(frozen=True)
class Plot:
    """Lines (x, y) in one pair of axes, e.g. quality against diversity. A metric may return some beside its scores."""

    name: str
    x: str
    """What the horizontal axis shows, with its unit."""
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    """Up to four, by what the legend calls them; points are joined in order."""
    note: str = ""


@dataclass
class Evaluation:
    """What a metric may use. ``generate(n, seed)`` returns `Samples` of the averaged networks with default options (of a
    recipe that translates: of the first n held-out samples at most).

    ``recipe`` and ``networks`` (by player) are there for metrics of what a recipe can do beside generating: likelihoods,
    other sampling options (`Recipe.sample`), the networks of another phase.
    """

    domain: Domain
    info: Mapping[str, Any]
    train: Split
    held_out: Split
    generate: Callable[[int, int], Samples]
    cache: Path
    device: torch.device
    count: int = 1000
    seed: int = 0
    judge: str = ""
    """What to judge with, where a metric has a choice (a feature network, a recogniser): a file or a name; empty: its own."""
    recipe: Recipe | None = None
    networks: Mapping[str, torch.nn.Module] = field(default_factory=dict)
