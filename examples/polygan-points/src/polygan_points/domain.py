"""The domain ``points``: how points are read, written, drawn and compared."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.figure import Figure

import polygan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Points(polygan.Source):
    """An array (n, 2). ``modes`` (m, 2) are the centres that the points were drawn around, where they are known."""

    def __init__(self, points: np.ndarray, modes: np.ndarray | None = None, deviation: float = 0.0) -> None:
        self.points = np.ascontiguousarray(points, np.float32)
        self.fields = {"point": polygan.Field("float32", (2,))}
        self.info: dict[str, Any] = {"modes": [] if modes is None else modes.tolist(), "deviation": deviation}

    def __len__(self) -> int:
        return len(self.points)

    def fingerprint(self) -> str:
        return hashlib.sha256(self.points.tobytes() + repr(self.info).encode()).hexdigest()

    def decode(self, index: int) -> dict[str, np.ndarray]:
        return {"point": self.points[index]}


def load_points(path: Path) -> np.ndarray:
    """(n, 2) points of a .npy file, or of a text file of lines ``x,y``."""
    try:
        with warnings.catch_warnings(action="error"):  # NumPy warns of a file without numbers
            array = np.load(path) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",", ndmin=2)
    except (OSError, ValueError, EOFError, UserWarning) as error:
        reason = " ".join(str(error).split())
        raise polygan.DataError(f"{path} holds no points ({reason}); give lines of x,y or a .npy file") from None
    if array.ndim != 2 or array.shape[1] != 2 or not len(array):
        raise polygan.DataError(f"{path} is an array {array.shape}, not (n, 2); give one point x,y a row")
    return array


class PointDomain(polygan.Domain):
    """Points in the plane: float32 (n, 2) everywhere."""

    id = "points"
    reads = (".csv", ".npy")
    writes = (".csv", ".npy")

    def open(self, settings: polygan.DataSettings) -> Points:
        """A .npy file (n, 2), or a text file of lines ``x,y``."""
        return Points(load_points(Path(settings.source).expanduser()))

    def real(self, split: polygan.Split, rows: np.ndarray) -> polygan.Samples:
        return polygan.Samples(split.store.gather("point", rows), self)

    def batch_of(self, samples: polygan.Samples) -> polygan.Batch:
        return {"point": samples.data}

    def read(self, path: Path, info: Mapping[str, Any]) -> Iterator[polygan.Samples]:
        """The points of a user's file, for a recipe that makes something from points."""
        yield polygan.Samples(torch.as_tensor(load_points(path), dtype=torch.float32), self)

    def lines(self, samples: polygan.Samples) -> list[str]:
        return [f"{x:.6g},{y:.6g}" for x, y in samples.data.tolist()]

    def write(self, samples: polygan.Samples, path: Path) -> list[Path]:
        """A .npy or .csv file, or ``points.csv`` in a folder."""
        path = path if path.suffix in (".npy", ".csv") else path / "points.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        array = samples.data.numpy()
        np.save(path, array) if path.suffix == ".npy" else np.savetxt(path, array, "%.6g", delimiter=",")
        return [path]

    def render(self, samples: polygan.Samples) -> list[polygan.Picture]:
        """One scatter plot of all points."""
        figure = Figure(figsize=(4, 4), layout="constrained")
        axes = figure.subplots()
        axes.scatter(*samples.data.numpy().T, s=6, alpha=0.5, linewidths=0)
        axes.set_aspect("equal", adjustable="datalim")
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=100)
        return [polygan.Picture(png.getvalue(), f"{len(samples)} points")]

    def features(self, samples: polygan.Samples) -> torch.Tensor:
        return samples.data
