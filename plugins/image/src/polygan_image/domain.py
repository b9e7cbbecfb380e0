"""The domain ``image``: settings, opening a source, bytes to [-1, 1], files, grids and cheap features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
import torch.nn.functional as F
from PIL import Image

from polygan import ConfigError, DataError, DataSettings, Domain, Picture, Samples

from . import pictures
from .arrays import idx_source, is_idx, npz_source
from .sources import FolderSource, HubSource

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from polygan import Batch, Piece, Source, Split

_GRID_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_MOVING_SUFFIXES = (".webp", ".gif")
_CELL = 56  # pixels that a picture in a report has at least
_SHOWN = 2**24  # pixels of a report's grid or of grid.png at most, unless it is one picture


@dataclass(frozen=True, kw_only=True)
class ImageSettings(DataSettings):
    """How pictures are read."""

    resolution: int = 0
    """Height and width in pixels that pictures are brought to (Lanczos); 0: their own, if all share it."""
    channels: int = 0
    """1 (grey), 3 (colour) or 4 (colour and alpha); 0: what the pictures have, 3 when they differ."""
    fit: Literal["crop", "pad"] = "crop"
    """What becomes of another aspect ratio: cropped to the centre, or padded (black or transparent)."""
    smaller: Literal["enlarge", "refuse"] = "enlarge"
    """What becomes of a picture with fewer pixels than the resolution: enlarged, or refused, so that it counts as unreadable."""
    labels: Literal["auto", "folders", "none"] = "auto"
    """auto: those that IDX, NPZ and named sets bring; folders: the subfolder is the class; none: not used."""
    max_pixels: int = 64_000_000
    """A file with more pixels is not decoded but counts as unreadable, [1, 89478485] (Pillow's own limit)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.resolution <= 8192:
            raise ConfigError(f"data.resolution = {self.resolution} is outside [0, 8192]; 0 keeps the source's own")
        if self.channels not in (0, 1, 3, 4):
            raise ConfigError(f"data.channels = {self.channels}; 1, 3 and 4 are known, 0 takes the source's own")
        for name, value, known in (
            ("fit", self.fit, ("crop", "pad")),
            ("smaller", self.smaller, ("enlarge", "refuse")),
            ("labels", self.labels, ("auto", "folders", "none")),
        ):
            if value not in known:
                raise ConfigError(f"data.{name} = {value!r}; known are {', '.join(known)}")
        if not 1 <= self.max_pixels <= (Image.MAX_IMAGE_PIXELS or self.max_pixels):
            raise ConfigError(
                f"data.max_pixels = {self.max_pixels} is not in [1, {Image.MAX_IMAGE_PIXELS}], Pillow's limit"
            )


class ImageDomain(Domain):
    """Pictures: uint8 (C, H, W) in the store, float32 (n, C, H, W) in [-1, 1] for networks and `Samples`."""

    id: ClassVar[str] = "image"
    Settings = ImageSettings

    def open(self, settings: ImageSettings) -> Source:
        """A folder of pictures or IDX files, an IDX or NPZ file, or ``hf:NAME`` (Hugging Face's `datasets`).

        A folder is read recursively; of one that holds IDX files the training pictures are taken.
        """
        source = settings.source
        if not source:
            raise DataError("no data: give a folder, a file or the name of a data set with --data")
        if source.startswith("hf:"):
            return HubSource(source[3:], settings)
        path = Path(source).expanduser()
        if path.is_dir():
            idx = sorted(p for p in path.iterdir() if p.is_file() and is_idx(p) and "labels" not in p.name)
            if idx:
                return idx_source(next((p for p in idx if "train" in p.name), idx[0]), settings)
            return FolderSource(path, settings)
        if not path.exists():
            raise DataError(
                f"no folder, file or data set named {source!r} (looked in {Path.cwd()}); "
                "`polygan list` shows the data sets"
            )
        if path.suffix.lower() == ".npz":
            return npz_source(path, settings)
        if is_idx(path) or "ubyte" in path.name:
            return idx_source(path, settings)
        raise DataError(
            f"{source} is neither a folder of pictures nor an IDX (...idx3-ubyte, .gz) nor an NPZ file; "
            "put pictures into a folder and give that"
        )

    def prepare(self, batch: Batch) -> Batch:
        """uint8 ``image`` to float32 in [-1, 1] on its device; everything else is passed on."""
        return {**batch, "image": batch["image"].to(torch.float32).div_(127.5).sub_(1)}

    def batch_of(self, samples: Samples) -> Batch | None:
        """Pictures (and labels) as `prepare` gives them."""
        labels = {} if samples.labels is None else {"label": samples.labels}
        return {"image": samples.data, **labels}

    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """Real pictures of store rows (n,), with labels where the source has them."""
        store = split.store
        image = self.prepare({"image": store.gather("image", rows)})["image"]
        labels = store.gather("label", rows) if "label" in store.fields else None
        return Samples(image, self, labels, tuple(store.info.get("classes", ())))

    def write(self, samples: Samples, path: Path) -> list[Path]:
        """One grid for ``.png .jpg .jpeg .webp``; else a folder with 00000.png, 00001.png, ... and grid.png.

        grid.png shows as many of the first samples as fit. Samples of kind ``"frames"`` become an animation as ``.webp .gif``,
        and a folder of them has animation.webp too. Raises `ConfigError` for no samples, an unknown
        suffix, or more samples than one grid holds.
        """
        if not len(samples):
            raise ConfigError(f"no samples to write to {path}")
        suffix, moving = path.suffix.lower(), samples.kind == "frames"
        if moving and suffix in _MOVING_SUFFIXES and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            pictures.save_animation(samples.data, path)
            return [path]
        if suffix in _GRID_SUFFIXES and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            pictures.save(pictures.grid(samples.data, _columns(samples)), path)
            return [path]
        if suffix[1:].isalpha() and not path.is_dir():
            known = " ".join(dict.fromkeys(_GRID_SUFFIXES + (_MOVING_SUFFIXES if moving else ())))
            raise ConfigError(f"{path}: pictures are not written as {suffix}; use {known}, or a folder (no suffix)")
        path.mkdir(parents=True, exist_ok=True)
        width = max(5, len(str(len(samples) - 1)))
        files = [path / f"{i:0{width}d}.png" for i in range(len(samples))]
        for i, file in enumerate(files):
            pictures.save(pictures.to_picture(pictures.to_bytes(samples.data[i : i + 1])[0]), file)
        pictures.save(_overview(samples, 1), path / "grid.png")
        if moving:
            pictures.save_animation(samples.data, path / "animation.webp")
        return [*files, path / "grid.png", *([path / "animation.webp"] if moving else [])]

    def render(self, samples: Samples) -> list[Piece]:
        """One PNG grid, small pictures enlarged by a whole factor so that a cell has 56 pixels or more."""
        if not len(samples):
            return []
        height, width = samples.data.shape[2:]
        sheet = _overview(samples, max(1, -(-_CELL // min(height, width))))
        return [Picture(pictures.png(sheet), _caption(samples))]

    def features(self, samples: Samples) -> Tensor:
        """(n, d): pictures shrunk by area to at most 16x16, scaled by d^-1/2.

        The Euclidean distance of two is the root-mean-square difference of their shrunk pixels, in [0, 2].
        """
        data = samples.data.float()
        small = F.adaptive_avg_pool2d(data, (min(16, data.shape[2]), min(16, data.shape[3]))).flatten(1)
        return small / small.shape[1] ** 0.5


def _columns(samples: Samples) -> int:
    return samples.columns if samples.kind in ("grid", "walk") else 0


def _overview(samples: Samples, factor: int) -> Image.Image:
    """The grid of as many of the first samples as a page can take."""
    height, width = (s * factor for s in samples.data.shape[2:])
    columns = _columns(samples)
    if columns and not pictures.grid_capacity(height, width, columns):
        columns = 0  # a row of them is wider than a picture may be
    room = min(_SHOWN // (height * width), pictures.grid_capacity(height, width, columns))
    if columns:
        room -= room % columns
    return pictures.grid(samples.data[: max(1, room)], columns, factor)


def _caption(samples: Samples) -> str:
    n, (_, height, width) = len(samples), samples.data.shape[1:]
    text = f"{n} picture{'s' if n > 1 else ''} of {width}x{height}"
    if samples.labels is None or samples.kind != "grid" or not samples.columns:
        return text
    rows = samples.labels.split(samples.columns)
    if any(len(r.unique()) > 1 for r in rows):
        return text
    names = [samples.classes[i] if i < len(samples.classes) else str(i) for i in (int(r[0]) for r in rows)]
    return f"{text}, from the top a row for each of {', '.join(names)}"
