"""The domain ``image``: opening a source, bytes to [-1, 1], files, grids and cheap features."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F

from polygan import ConfigError, DataError, Domain, Picture, Samples

from . import given, pictures
from .arrays import idx_of_folder, idx_source, is_idx, npz_source
from .datasets import HubSource
from .folders import ArchiveSource, FolderSource
from .formats import ARCHIVES, SUFFIXES, is_archive
from .pairs import labels
from .pairs.given import as_given
from .pairs.source import paired_source
from .settings import ImageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from PIL import Image
    from torch import Tensor

    from polygan import Batch, Piece, Source, Split

_CELL = 56  # pixels that a picture in a report has at least
_SHOWN = 2**24  # pixels of a report's grid or of grid.png at most, unless it is one picture


class ImageDomain(Domain):
    """Pictures: uint8 (C, H, W) in the store, float32 (n, C, H, W) in [-1, 1] for networks and `Samples`."""

    id: ClassVar[str] = "image"
    Settings = ImageSettings
    reads = SUFFIXES
    opens: ClassVar[tuple[str, ...]] = (*ARCHIVES, ".npz", "-ubyte", "-ubyte.gz")
    writes = (".png", ".jpg", ".webp", ".jpeg")
    animates = (".webp", ".gif")

    def open(self, settings: ImageSettings) -> Source:
        """A folder of pictures or IDX files, an IDX, NPZ, zip or tar file, or ``hf:NAME`` (Hugging Face's `datasets`).

        Folders and archives are read recursively. If a folder holds IDX files, only its training pictures are read.
        """
        source = settings.source
        if not source:
            raise DataError("no data: give a folder, a file or the name of a data set with --data")
        if settings.pairs in ("folders", "left", "right") and (Path(source).expanduser().exists()):
            return paired_source(settings)
        if source.startswith("hf:"):
            return HubSource(source[3:], settings)
        path = Path(source).expanduser()
        if path.is_dir():
            return idx_of_folder(path, settings) or FolderSource(path, settings)
        if not path.exists():
            raise DataError(
                f"no folder, file or data set named {source!r} (looked in {Path.cwd()}); "
                "`polygan list` shows the data sets"
            )
        if path.suffix.lower() == ".npz":
            return npz_source(path, settings)
        if is_idx(path.name) or "ubyte" in path.name:
            return idx_source(path, settings)
        if is_archive(path.name):
            return ArchiveSource(path, settings)
        raise DataError(
            f"{source} is neither a folder of pictures nor an IDX (...idx3-ubyte, .gz), NPZ, zip or tar file; "
            "put pictures into a folder and name the folder"
        )

    def prepare(self, batch: Batch, info: Mapping[str, Any]) -> Batch:
        """uint8 ``image`` to float32 in [-1, 1] on its device, and ``given`` if the data has pairs: stored, or derived from ``image``.

        A given label map becomes one-hot (n, K, H, W) in {0, 1}.
        """
        image = _floats(batch["image"])
        theirs = _stored_given(batch["given"], info) if "given" in batch else given.pair(image, info)
        return {**batch, "image": image, **({} if theirs is None else {"given": theirs})}

    def batch_of(self, samples: Samples) -> Batch | None:
        """Pictures (and labels) as `prepare` gives them."""
        labels = {} if samples.labels is None else {"label": samples.labels}
        return {"image": samples.data, **labels}

    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """Real pictures of store rows (n,), with labels if the source has labels."""
        store = split.store
        labels = store.gather("label", rows) if "label" in store.fields else None
        return Samples(_floats(store.gather("image", rows)), self, labels, tuple(store.info.get("classes", ())))

    def given(self, split: Split, rows: np.ndarray) -> Samples:
        """The given sides of these rows: their pairs, or the pictures themselves if the data has no pairs. Label maps are one-hot."""
        real, info = self.real(split, rows), split.store.info
        if "given" in split.store.fields:
            return replace(real, data=_stored_given(split.store.gather("given", rows), info), extra=_extra(info))
        derived = given.pair(real.data, info)
        return real if derived is None else replace(real, data=derived)

    def read(self, path: Path, info: Mapping[str, Any]) -> Iterator[Samples]:
        """A picture file, named like the file, in the form of the run's given pictures: grey for pairs by grey, one-hot for label maps.

        The picture gets the size of the run's data, cropped or padded like the data, unless ``info["keeps_size"]``.
        """
        try:
            data = given.read(path, as_given(info))
        except (DataError, OSError) as error:
            raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
        yield Samples(data, self, names=(path.stem,), extra=_extra(info))

    def take(self, value: Any, info: Mapping[str, Any]) -> Samples:
        """Pictures of a caller in Python: uint8 (H, W), (H, W, C), (n, H, W, C), floats (n, C, H, W) in [-1, 1], PIL pictures, a list.

        Bytes and PIL pictures are brought to the run's size; floats keep their own size.
        """
        return Samples(given.take(value, as_given(info)), self, extra=_extra(info))

    def write(self, samples: Samples, path: Path) -> list[Path]:
        """One grid for ``.png .jpg .jpeg .webp``; else a folder with 00000.png, 00001.png, ... (or the samples' names) and grid.png.

        grid.png shows as many of the first samples as fit; labels.csv names the class of each picture if there are classes. Samples
        of kind ``"frames"`` become an animation as ``.webp .gif``, and a folder of frames has animation.webp too. Raises
        `ConfigError` for no samples, an unknown suffix, or more samples than one grid holds.
        """
        if not len(samples):
            raise ConfigError(f"no samples to write to {path}")
        samples = _in_colours(samples)
        suffix, moving = self.suffix_of(path, samples.kind), samples.kind == "frames"
        if suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            if moving and suffix in self.animates:
                pictures.save_animation(samples.data, path)
            else:
                pictures.save(pictures.grid(samples.data, _columns(samples)), path)
            return [path]
        path.mkdir(parents=True, exist_ok=True)
        files = [path / f"{name}.png" for name in _names(samples)]
        for i, file in enumerate(files):
            pictures.save(pictures.to_picture(pictures.to_bytes(samples.data[i : i + 1])[0]), file)
        pictures.save(_overview(samples, 1), path / "grid.png")
        more = [path / "grid.png"]
        if moving:
            more.append(path / "animation.webp")
            pictures.save_animation(samples.data, more[-1])
        if names := samples.class_names():
            more.append(path / "labels.csv")
            rows = [(file.name, name) for file, name in zip(files, names, strict=True)]
            with more[-1].open("w", encoding="utf-8", errors="replace", newline="") as table:
                csv.writer(table, lineterminator="\n").writerows([("file", "class"), *rows])
        return [*files, *more]

    def render(self, samples: Samples) -> list[Piece]:
        """One PNG grid, small pictures enlarged by a whole factor so that a cell has 56 pixels or more."""
        if not len(samples):
            return []
        samples = _in_colours(samples)
        height, width = samples.data.shape[2:]
        sheet = _overview(samples, max(1, -(-_CELL // min(height, width))))
        return [Picture(pictures.png(sheet), _caption(samples))]

    def features(self, samples: Samples) -> Tensor:
        """(n, d): pictures shrunk by area to at most 16x16, scaled by d^-1/2.

        The Euclidean distance of two rows is the root-mean-square difference of their shrunk pixels, in [0, 2].
        """
        data = samples.data.float()
        small = F.adaptive_avg_pool2d(data, (min(16, data.shape[2]), min(16, data.shape[3]))).flatten(1)
        return small / small.shape[1] ** 0.5


def _floats(image: Tensor) -> Tensor:
    return image.to(torch.float32).div_(127.5).sub_(1)


def _stored_given(values: Tensor, info: Mapping[str, Any]) -> Tensor:
    """Stored given pictures (n, C, H, W) as networks see them: in [-1, 1], or one-hot label maps."""
    classes = labels.classes_of(info["given"])
    return _floats(values) if classes is None else labels.one_hot(values, len(classes.values))


def _extra(info: Mapping[str, Any]) -> dict[str, Any]:
    """`Samples.extra` of given pictures: the classes of label maps, which `render` and `write` show in colours."""
    classes = labels.classes_of(info.get("given", {}))
    return {} if classes is None else {"label_map": classes._asdict()}


def _in_colours(samples: Samples) -> Samples:
    """Label maps as coloured pictures; other samples unchanged."""
    facts = samples.extra.get("label_map")
    if facts is None or samples.data.shape[1] != len(facts["values"]):
        return samples
    return replace(samples, data=labels.in_colours(samples.data, facts["colours"]), extra={})


def _names(samples: Samples) -> list[str]:
    """Names of files without suffix: the samples' names if they differ and fit a folder, otherwise numbers."""
    names = [str(name) for name in samples.names]
    if len(names) == len(samples) == len({*names, "grid"}) - 1 and all(n and Path(n).name == n for n in names):
        return names
    width = max(5, len(str(len(samples) - 1)))
    return [f"{i:0{width}d}" for i in range(len(samples))]


def _columns(samples: Samples) -> int:
    return samples.columns if samples.kind in ("grid", "walk") else 0


def _overview(samples: Samples, factor: int) -> Image.Image:
    """The grid of as many of the first samples as a page can take."""
    height, width = (s * factor for s in samples.data.shape[2:])
    columns = _columns(samples)
    if columns and not pictures.grid_capacity(height, width, columns):
        columns = 0  # a row is wider than a picture may be
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
