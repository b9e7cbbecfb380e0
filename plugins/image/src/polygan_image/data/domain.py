"""The domain ``image``: opening a source, bytes to [-1, 1], files, grids and cheap features."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch.nn.functional as F

from polygan import ConfigError, DataError, Domain, Picture, Samples, is_table

from . import given, pictures
from .archives import Folder
from .arrays import handed_source, idx_of_folder, idx_source, is_idx, npy_source, npz_source
from .datasets import HubSource
from .folders import ArchiveSource, FolderSource
from .formats import ARCHIVES, ARRAY, SUFFIXES, is_archive
from .pairs.beside import view
from .pairs.given import as_given
from .pairs.source import paired_source
from .settings import ImageSettings
from .values import bands, crops, files, showing, stored, windows
from .volumes import dicom, opening, slices, video

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from torch import Tensor

    from polygan import Arrays, Batch, Piece, Source, Split

_CELL = 56  # pixels that a picture in a report has at least


class ImageDomain(Domain):
    """Pictures: values (C, H, W) in the store, float32 (n, C, H, W) in [-1, 1] for networks and `Samples`.

    The store holds uint8, uint16, int16 or float32. ``Samples.extra`` has ``window`` and ``dtype`` where values are no plain bytes.
    """

    id: ClassVar[str] = "image"
    Settings = ImageSettings
    reads = (*SUFFIXES, ARRAY, *opening.READS)
    opens: ClassVar[tuple[str, ...]] = (*ARCHIVES, ".npz", ".parquet", "-ubyte", "-ubyte.gz", *dicom.SUFFIXES)
    writes = (".png", ".jpg", ".webp", ".jpeg", *files.SUFFIXES, *opening.WRITES)
    animates = (".webp", ".gif")

    def open(self, settings: ImageSettings) -> Source:
        """A folder of pictures or IDX files, an IDX, NPZ, .npy, zip or tar file, Parquet files, or ``hf:NAME`` (Hugging Face's `datasets`).

        A NIfTI or DICOM file, or a folder of such files without other pictures, is read slice by slice. Folders and archives are read recursively. If a folder holds IDX files, only its training pictures are read. A folder without
        other pictures may hold .npy files (H, W) or (H, W, C).
        """
        source = settings.source
        if not source:
            raise DataError("no data: give a folder, a file or the name of a data set with --data")
        path = Path(source).expanduser()
        place = Folder(path) if path.is_dir() else None
        if path.exists() and (volumes := opening.volumes_of(path, place, settings)):
            return volumes
        if settings.pairs in ("folders", "left", "right") and path.exists():
            return paired_source(settings, place)
        if is_table(source):
            return HubSource(settings)
        if place is not None:
            return idx_of_folder(path, settings) or FolderSource(place, settings)
        if not path.exists():
            raise DataError(
                f"no folder, file or data set named {source!r} (looked in {Path.cwd()}); "
                "`polygan list` shows the data sets"
            )
        if path.suffix.lower() == ".npz":
            return npz_source(path, settings)
        if path.suffix.lower() == ARRAY:
            return npy_source(path, settings)
        if is_idx(path.name) or "ubyte" in path.name:
            return idx_source(path, settings)
        if is_archive(path.name):
            return ArchiveSource(path, settings)
        raise DataError(
            f"{source} is neither a folder of pictures nor an IDX (...idx3-ubyte, .gz), NPZ, .npy, zip or tar file; "
            "put pictures into a folder and name the folder"
        )

    def source_of(self, arrays: Arrays, settings: ImageSettings) -> Source:
        """Pictures in memory: (n, H, W), (n, H, W, C) or (n, C, H, W). Floats have the window ``full``, unless ``window`` is set."""
        return handed_source(arrays, settings)

    def pil(self, samples: Samples) -> list[Any]:
        """A Pillow picture of each sample, of 8 bits; label maps in colours."""
        samples = stored.in_colours(samples)
        return [pictures.to_picture(v) for v in pictures.to_bytes(showing.shown(samples.data, samples.extra))]

    def collate(self, split: Split, rows: np.ndarray, draws: np.ndarray) -> Batch:
        """Stored values ``image`` (n, C, H, W); of crops and mirrored pictures, what ``draws`` (n, 4) choose: y, x, scale, flip.

        A stored ``given`` is cropped and mirrored as its picture is.
        """
        info = split.store.info
        changed = info.get("crop") or info.get("flip")
        return crops.batch(split, rows, draws) if changed else super().collate(split, rows, draws)

    def prepare(self, batch: Batch, info: Mapping[str, Any]) -> Batch:
        """``image`` to float32 in [-1, 1] on its device by the window of the data, and ``given`` if the data has pairs: stored, or derived from ``image``.

        A given label map becomes one-hot (n, K, H, W) in {0, 1}.
        """
        image = windows.to_unit(batch["image"], info)
        theirs = stored.to_given(batch["given"], info) if "given" in batch else given.pair(image, info)
        return {**batch, "image": image, **({} if theirs is None else {"given": theirs})}

    def batch_of(self, samples: Samples) -> Batch | None:
        """Pictures (and labels) as `prepare` gives them."""
        labels = {} if samples.labels is None else {"label": samples.labels}
        return {"image": samples.data, **labels}

    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """Real pictures of store rows (n,), with labels if the source has labels. Of crops, the middle of each picture."""
        store, info = split.store, split.store.info
        labels = store.gather("label", rows) if "label" in store.fields else None
        data = windows.to_unit(crops.centres(store, "image", rows), info)
        return Samples(data, self, labels, tuple(info.get("classes", ())), extra=windows.extra_of(info))

    def given(self, split: Split, rows: np.ndarray) -> Samples:
        """The given sides of these rows: their pairs, or the pictures themselves if the data has no pairs. Label maps are one-hot."""
        real, info = self.real(split, rows), split.store.info
        if "given" in split.store.fields:
            values = crops.centres(split.store, "given", rows)
            return replace(real, data=stored.to_given(values, info), extra=stored.extra_of(info))
        derived = given.pair(real.data, info)
        return real if derived is None else replace(real, data=derived)

    def paired(self, info: Mapping[str, Any]) -> bool:
        """Whether the data has pairs, stored or derived."""
        return bool(info.get("pairs") or info.get("given"))

    def read(self, path: Path, info: Mapping[str, Any]) -> Iterator[Samples]:
        """A picture file, named like the file, in the form of the run's given pictures: grey for pairs by grey, one-hot for label maps.

        The picture gets the size of the run's data, cropped or padded like the data, unless ``info["keeps_size"]``: then a large
        picture comes in bands of rows, ``extra["rows"]`` = (top, total height). Volumes come slice by slice with ``extra["header"]``,
        videos frame by frame with ``extra["clip"]``, both as kind ``"frames"``.
        """
        try:
            for data, notes in _pieces(path, info):
                kind = "frames" if "header" in notes or "clip" in notes else "set"
                yield Samples(data, self, kind=kind, names=(path.stem,), extra={**stored.extra_of(info), **notes})
        except (DataError, OSError) as error:
            raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from None

    def is_one(self, folder: Path) -> bool:
        """Whether a folder holds DICOM files, which are slices of one volume, and no pictures."""
        return opening.is_series(folder)

    def join(self, pieces: Iterable[Samples]) -> Samples:
        """The pictures of one file in a row. Bands of a large picture (``extra["rows"]``) are joined to one picture."""
        return super().join(bands.join(list(pieces)))

    def take(self, value: Any, info: Mapping[str, Any]) -> Samples:
        """Pictures of a caller in Python: values (H, W), (H, W, C), (n, H, W, C), floats (n, C, H, W) in [-1, 1], PIL pictures, a list.

        Whole numbers mean what the values of the data mean. They and PIL pictures are brought to the run's size; floats keep their own.
        """
        return Samples(given.take(value, as_given(info)), self, extra=stored.extra_of(info))

    def complete(self, made: Samples, given: Samples | None, info: Mapping[str, Any]) -> Samples:
        """Made pictures with the window and type of the data, and with further extras of what is given (a header, rows)."""
        own = ("alpha", "window", "dtype", "label_map")
        theirs = {} if given is None else {name: value for name, value in given.extra.items() if name not in own}
        kind = "frames" if given is not None and given.kind == "frames" else made.kind
        return replace(made, kind=kind, extra={**theirs, **windows.extra_of(info), **made.extra})

    def part(self, samples: Samples, rows: Sequence[int]) -> Samples:
        """Some of the pictures. The two numbers of a window are no values of two pictures."""
        some = super().part(samples, rows)
        window = samples.extra.get("window")
        return some if window is None else replace(some, extra={**some.extra, "window": window})

    def write(self, samples: Samples, path: Path) -> list[Path]:
        """One grid for a suffix; else a folder with 00000.png, 00001.png, ... (or the samples' names) and grid.png.

        Single pictures have the values of the data: 16-bit grey as PNG, and .npy (H, W) or (H, W, C) where PNG cannot hold the values.
        A grid is for the eye, and has 8 bits; only .npy (n, H, W, C) keeps the values of several pictures.
        grid.png shows as many of the first samples as fit; labels.csv names the class of each picture if there are classes. Samples
        of kind ``"frames"`` become an animation as ``.webp .gif .mp4``, and a folder of frames has animation.webp too. Raises
        `ConfigError` for no samples, an unknown suffix, or more samples than one grid holds.
        """
        if not len(samples):
            raise ConfigError(f"no samples to write to {path}")
        samples = stored.in_colours(samples)
        suffix, moving = self.suffix_of(path, samples.kind), samples.kind == "frames"
        extra, channels = samples.extra, samples.data.shape[1]
        if suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            if suffix in opening.WRITES:
                clip = {"clip": {"rate": video.RATE}} if moving else {}
                opening.write([replace(samples, extra={**clip, **extra})], path)
            elif moving and suffix in self.animates:
                pictures.save_animation(showing.shown(samples.data, extra), path)
            elif suffix == files.ARRAY or (
                len(samples) == 1 and windows.has_window(extra) and files.keeps(suffix, channels, extra)
            ):
                files.save(samples.data, extra, path)
            else:
                pictures.save(pictures.grid(showing.shown(samples.data, extra), showing.columns(samples)), path)
            return [path]
        path.mkdir(parents=True, exist_ok=True)
        each = files.usual_suffix(channels, extra)
        written = [path / f"{name}{each}" for name in showing.names(samples)]
        for i, file in enumerate(written):
            files.save(samples.data[i : i + 1], extra, file)
        pictures.save(showing.overview(samples, 1), path / "grid.png")
        more = [path / "grid.png"]
        if moving:
            more.append(path / "animation.webp")
            pictures.save_animation(showing.shown(samples.data, extra), more[-1])
        if names := samples.class_names():
            more.append(path / "labels.csv")
            rows = [(file.name, name) for file, name in zip(written, names, strict=True)]
            with more[-1].open("w", encoding="utf-8", errors="replace", newline="") as table:
                csv.writer(table, lineterminator="\n").writerows([("file", "class"), *rows])
        return [*written, *more]

    def made_suffix(self, path: Path, info: Mapping[str, Any]) -> str:
        """The suffix of the given file if such files hold the values of the run's data; else ``.png`` or ``.npy``, which do."""
        if of_volume := opening.made_suffix(path):
            return of_volume
        suffix, channels = path.suffix.lower(), info["channels"]
        fits = suffix in self.writes and files.keeps(suffix, channels, info)
        return suffix if fits else files.usual_suffix(channels, info)

    def write_file(self, pieces: Iterable[Samples], path: Path) -> None:
        """Write what was made from one file, a large picture band by band. Raises ConfigError for a suffix that would lose values of other than 8 bits."""
        if self.suffix_of(path) in opening.WRITES:
            opening.write(pieces, path)
            return
        left = iter(pieces)
        first = next(left)
        pieces = itertools.chain([first], left)
        if bands.can_write(first, path.suffix.lower()):
            bands.write(pieces, path)
            return
        made = self.join(pieces)
        if windows.has_window(made.extra) or made.data.shape[1] not in pictures.MODES:
            files.check_keeps(path.suffix.lower(), made.data.shape[1], made.extra, path)
        self.write(made, path)

    def render(self, samples: Samples) -> list[Piece]:
        """One PNG grid, small pictures enlarged by a whole factor so that a cell has 56 pixels or more."""
        if not len(samples):
            return []
        samples = stored.in_colours(samples)
        height, width = samples.data.shape[2:]
        sheet = showing.overview(samples, max(1, -(-_CELL // min(height, width))))
        return [Picture(pictures.png(sheet), showing.described(samples) + showing.first_of(samples.origins))]

    def beside(self, given: Samples, made: Samples, truth: Samples | None, info: Mapping[str, Any]) -> list[Piece]:
        """One PNG whose rows show given, made and real pictures in groups; label maps in colours."""
        named = [("given", given), ("made", made), *([] if truth is None else [("real", truth)])]
        coloured = [(name, stored.in_colours(samples)) for name, samples in named]
        sides = [(name, showing.shown(samples.data, samples.extra)) for name, samples in coloured]
        return [view(sides, made.origins)] if all(len(data) for _, data in sides) else []

    def features(self, samples: Samples) -> Tensor:
        """(n, d): pictures shrunk by area to at most 16x16, scaled by d^-1/2.

        The Euclidean distance of two rows is the root-mean-square difference of their shrunk pixels, in [0, 2].
        """
        data = samples.data.float()
        small = F.adaptive_avg_pool2d(data, (min(16, data.shape[2]), min(16, data.shape[3]))).flatten(1)
        return small / small.shape[1] ** 0.5


def _pieces(path: Path, info: Mapping[str, Any]) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """What `ImageDomain.read` reads: pictures, bands of rows, slices or frames, each with its notes."""
    if slices.is_volume(path):
        return slices.read(path, as_given(info), info.get("axis", "axial"))
    return video.read(path, as_given(info)) if video.is_clip(path.name) else bands.read(path, as_given(info))
