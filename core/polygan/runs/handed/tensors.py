"""The domain ``tensor``: samples of one shape that a script hands in, whatever they mean; a score for such samples, and
the data of an earlier run, found again in the cache of decoded data.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from ...data.cache.folders import cache_folder
from ...data.domain import Domain, Samples
from ...data.pieces import Picture
from ...data.source import Fact, Field, Source
from ...data.store import DamagedStore, Store
from ...errors import ConfigError, DataError
from ...files import write_bytes
from ...scoring.evaluation import Score
from ..folder import read_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ...data.pieces import Piece
    from ...data.rows.arrays import Arrays
    from ...data.source import Batch, DataSettings
    from ...data.store import Split
    from ...files import Facts
    from ...scoring.evaluation import Evaluation

_SHOWN = 64
_DIRECTIONS = 128


class TensorSource(Source):
    """Samples in memory: float32 as they are, or bytes, which networks see in [-1, 1]."""

    def __init__(self, arrays: Arrays) -> None:
        values = arrays.values
        if values.dtype != np.uint8 and values.dtype.kind != "f":
            raise DataError(
                f"the data has dtype {values.dtype}: samples are floats, or uint8 for bytes; convert with data.float() or "
                "data.astype('float32')"
            )
        self.arrays, shape = arrays, values.shape[1:]
        if values.dtype.kind == "f" and _is_picture(shape):
            _check_range(values)
        self.fields: Mapping[str, Field] = {"sample": Field(values.dtype.name, shape)}
        self.info: dict[str, Any] = {"shape": list(shape), "dtype": values.dtype.name, "classes": list(arrays.classes)}
        if arrays.labels is not None:
            self.fields = {**self.fields, "label": Field("int64", ())}

    def __len__(self) -> int:
        return len(self.arrays.values)

    def fingerprint(self) -> str:
        """A checksum of all samples and labels."""
        return f"tensor {self.arrays.identity}"

    def decode(self, index: int) -> dict[str, np.ndarray]:
        """A sample, and its label where there are labels."""
        labels = self.arrays.labels
        return {"sample": self.arrays.values[index], **({} if labels is None else {"label": labels[index]})}

    def describe(self) -> Sequence[Fact]:
        """The shape, the values and the classes."""
        values = self.arrays.values
        seen = ", which networks see in [-1, 1]" if values.dtype == np.uint8 else ""
        facts = [Fact("shape", "x".join(map(str, values.shape[1:])))]
        facts.append(Fact("values", f"{values.min():g} to {values.max():g} ({values.dtype}){seen}"))
        return [*facts, Fact("classes", str(len(self.arrays.classes)))] if self.arrays.classes else facts


def _is_picture(shape: Sequence[int]) -> bool:
    return len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) > 1


def _check_range(values: np.ndarray) -> None:
    row = int(np.abs(values.reshape(len(values), -1)).max(1).argmax())
    worst = float(values[row].flat[int(np.abs(values[row]).argmax())])
    if abs(worst) > 1.001:
        remedy = (
            "data / 127.5 - 1, or data.to(torch.uint8)" if 1.5 < worst <= 255 else "2 * (x - min) / (max - min) - 1"
        )
        raise DataError(f"sample {row} holds {worst:g}, and pictures of floats lie in [-1, 1]: convert with {remedy}")


class TensorDomain(Domain):
    """Samples of one shape: float32 (n, ...) for networks and `Samples`; bytes become [-1, 1]."""

    id: ClassVar[str] = "tensor"
    reads: ClassVar[tuple[str, ...]] = (".npy",)
    writes: ClassVar[tuple[str, ...]] = (".npy", ".png")

    def open(self, settings: Any) -> Source:
        """An array (n, ...) in a .npy file."""
        from ...data.rows.arrays import arrays_of

        try:
            return TensorSource(arrays_of(np.load(settings.source, allow_pickle=False)))
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{settings.source} holds no array ({error}): save one with numpy.save") from None

    def source_of(self, arrays: Arrays, settings: Any) -> Source:
        """The samples as they are."""
        return TensorSource(arrays)

    def prepare(self, batch: Batch, info: Facts) -> Batch:
        """Bytes to float32 in [-1, 1]."""
        return {**batch, "sample": _to_floats(batch["sample"])}

    def batch_of(self, samples: Samples) -> Batch:
        """Samples (and labels) as `prepare` gives them."""
        return {"sample": samples.data, **({} if samples.labels is None else {"label": samples.labels})}

    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """Samples of store rows, with labels where there are labels."""
        labels = split.store.gather("label", rows) if "label" in split.store.fields else None
        data = _to_floats(split.store.gather("sample", rows))
        return Samples(data, self, labels, tuple(split.store.info["classes"]))

    def write(self, samples: Samples, path: Path) -> list[Path]:
        """All samples in a .npy file, or their picture as .png; a folder gets ``samples.npy``."""
        path = path if path.suffix in self.writes else path / "samples.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            write_bytes(path, _picture(samples.data))
        else:
            array = io.BytesIO()
            np.save(array, samples.data.numpy())
            write_bytes(path, array.getvalue())
        return [path]

    def pil(self, samples: Samples) -> list[Any]:
        """A Pillow picture of each sample (1 or 3, H, W) in [-1, 1]. ConfigError for other shapes."""
        from PIL import Image

        if not _is_picture(samples.data.shape[1:]):
            raise ConfigError(f"samples {tuple(samples.data.shape[1:])} are no pictures (1 or 3, H, W); use .numpy()")
        return [Image.fromarray(one) for one in _bytes(samples.data)]

    def render(self, samples: Samples) -> list[Piece]:
        """A grid of pictures, a plot of points in the plane, or the first samples as lines."""
        return [Picture(_picture(samples.data), f"{min(len(samples), _SHOWN)} samples")] if len(samples) else []

    def features(self, samples: Samples) -> torch.Tensor:
        """(n, d): all numbers, scaled by d^-1/2."""
        flat = samples.data.float().flatten(1)
        return flat / flat.shape[1] ** 0.5


def _to_floats(values: torch.Tensor) -> torch.Tensor:
    return values.float() / 127.5 - 1 if values.dtype == torch.uint8 else values


def _bytes(data: torch.Tensor) -> np.ndarray:
    """uint8 (n, H, W) or (n, H, W, 3) of pictures in [-1, 1]."""
    values = ((data.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
    return values[:, 0] if values.shape[1] == 1 else np.moveaxis(values, 1, -1)


def _picture(data: torch.Tensor) -> bytes:
    """A PNG of the first samples."""
    from matplotlib.figure import Figure

    data = data.detach().float().cpu()
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.subplots()
    if _is_picture(data.shape[1:]):
        cells = _bytes(data[:_SHOWN])
        side = int(np.ceil(len(cells) ** 0.5))
        blank = [np.zeros_like(cells[0])] * (side * -(-len(cells) // side) - len(cells))
        rows = [np.concatenate([*cells, *blank][i : i + side], 1) for i in range(0, len(cells), side)]
        axes.imshow(np.concatenate(rows), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_axis_off()
    elif data[0].numel() == 2:
        axes.scatter(*data.flatten(1).numpy().T, s=6, alpha=0.5, linewidths=0)
        axes.set_aspect("equal", adjustable="datalim")
    else:
        axes.plot(data[:8].flatten(1).numpy().T, linewidth=0.8)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100)
    return png.getvalue()


def sliced_wasserstein(evaluation: Evaluation) -> list[Score]:
    """The sliced Wasserstein distance between generated and held-out samples; the floor: training against held-out samples.

    The mean over 128 random directions of the 1-Wasserstein distance of the projections (Bonneel et al. 2015, "Sliced and Radon
    Wasserstein barycenters of measures", with p = 1), in units of the data.
    """
    held = evaluation.held_out if len(evaluation.held_out) > 1 else evaluation.train
    n = min(evaluation.samples, len(held), len(evaluation.train))
    real, other = (evaluation.domain.real(split, split.rows[:n]).data for split in (held, evaluation.train))
    fake = evaluation.generate(n, evaluation.seed).data
    floor = None if held is evaluation.train else sliced_distance(real, other)
    return [Score("tensor/sliced_wasserstein", sliced_distance(real, fake), floor, kind="distribution")]


def sliced_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """The sliced 1-Wasserstein distance of two sets (n, ...) of one size."""
    a, b = (x.detach().cpu().double().flatten(1) for x in (a, b))
    directions = torch.randn(a.shape[1], _DIRECTIONS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    directions = directions / directions.norm(dim=0)
    return float(((a @ directions).sort(0).values - (b @ directions).sort(0).values).abs().mean())


HANDED = "<array>"
"""What ``data.source`` names where a script handed the data in: no file has this name on every system."""


class Stored(Source):
    """The decoded data of a run."""

    def __init__(self, store: Store) -> None:
        self.store, self.fields, self.info = store, store.fields, store.info

    def __len__(self) -> int:
        return len(self.store)

    def fingerprint(self) -> str:
        """The key of the decoded data."""
        return self.store.key

    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """A stored sample."""
        return {name: self.store.item(name, index) for name in self.fields}


def stored_source(data: DataSettings, run: Path | None) -> Stored:
    """The data of a run that a script handed in. DataError if the cache no longer has the data, and for a new run."""
    if run is None:
        raise DataError(
            f"data = {HANDED} was handed in by a script: pass the samples with polygan.train(..., data=samples)"
        )
    facts = read_data(run)
    key = str(facts.get("key"))
    place = cache_folder(data) / "stores" / key
    try:
        if not key.isalnum():  # a stranger's run may name any place
            raise DamagedStore(f"{key!r} is no key of decoded data")
        store = Store.open(place)
    except DamagedStore:
        raise DataError(
            f"the data of run {run} was handed in by a script, and the cache no longer has it ({place}): hand it in again with "
            f"polygan.resume({str(run)!r}, data=samples), or polygan.load({str(run)!r}, data=samples)"
        ) from None
    store.info = dict(facts["info"])
    return Stored(store)
