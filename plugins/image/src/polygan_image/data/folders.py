"""Pictures of a folder or an archive: which are used, and their classes by subfolder, by split or by dataset.json."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from polygan import DataError, Fact, LeftOut

from . import formats, survey
from .archives import TABLE, Folder, Tar, Zip
from .sources import FileSource, large_enough

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import IO

    from .archives import Place
    from .settings import ImageSettings

_TRAINED = frozenset(("train", "training"))
_HELD_OUT = frozenset(("test", "testing", "val", "valid", "validation"))
_SPLIT_AND_SIDE = re.compile(rf"(?i:({'|'.join(_TRAINED | _HELD_OUT)}))[_-]?([A-Z])")
"""A folder of CycleGAN's data sets: trainA, trainB, testA, testB."""


@dataclass
class Layout:
    """The pictures of a place that are used, with what is known of each."""

    files: Sequence[str]
    classes: Sequence[str] | None = None
    """The name of each picture's class; None: no classes."""
    held_out: Sequence[int] | None = None
    left_out: list[LeftOut] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)


def _parts(file: str) -> list[str]:
    return file.replace(os.sep, "/").split("/")


def by_subfolder(place: Place) -> Layout:
    """The class of a picture is its subfolder; below ``train`` and ``test`` the subfolder one level deeper.

    ``trainA``, ``trainB``, ``testA`` and ``testB`` are the classes A and B, with the pictures of the last two held out.
    """
    files, tops = place.files, {parts[0] for parts in map(_parts, place.files) if len(parts) > 1}
    if not tops:
        raise DataError(
            f"{place.root} has no subfolder with pictures; with data.labels = folders, put the pictures of each class into a subfolder"
        )
    if sided := _sided(tops):
        return _by_side(place, sided)
    splits = _splits(tops)
    depth, used = (1, splits) if splits else (0, tops)
    chosen, strays = [], []
    for file in files:
        parts = _parts(file)
        (chosen if len(parts) > depth + 1 and parts[0] in used else strays).append(file)
    layout = Layout(chosen, [_parts(file)[depth] for file in chosen], left_out=_outside(strays))
    if splits:
        _by_split(layout, splits, place)
    elif len(tops) == 1 and any(len(_parts(file)) > 2 for file in chosen):
        (top,) = tops
        layout.facts.append(
            Fact("advice", f"all pictures are of one class; {place.alone(top)} takes the classes from its subfolders")
        )
    return layout


def _outside(strays: Sequence[str]) -> list[LeftOut]:
    why = "with data.labels = folders the subfolder is the class"
    return [LeftOut(len(strays), "pictures outside the class folders", why, strays[0])] if strays else []


def _sided(tops: set[str]) -> dict[str, tuple[str, str]]:
    """The split and the class of each subfolder like ``trainA``; empty where the subfolders mean something else.

    Either two classes have a training folder, or one class has, and there are no other subfolders.
    """
    found = {top: (match[1].lower(), match[2]) for top in tops if (match := _SPLIT_AND_SIDE.fullmatch(top))}
    trained = {side for split, side in found.values() if split in _TRAINED}
    return found if len(trained) > 1 or (trained and found.keys() == tops) else {}


def _by_side(place: Place, sided: dict[str, tuple[str, str]]) -> Layout:
    """The pictures of folders like ``trainA``. Raises DataError for a class without a training folder."""
    chosen = [file for file in place.files if _parts(file)[0] in sided]
    strays = [file for file in place.files if _parts(file)[0] not in sided]
    found = [sided[_parts(file)[0]] for file in chosen]
    trained = {side for split, side in sided.values() if split in _TRAINED}
    for top, (_, side) in sorted(sided.items()):
        if side not in trained:
            raise DataError(f"{place.root} has {top}, but no train{side}; add the folder, or move {top} away")
    layout = Layout(chosen, [side for _, side in found], left_out=_outside(strays))
    held_out = [int(split not in _TRAINED) for split, _ in found]
    if any(held_out):
        layout.held_out = held_out
        others = " and ".join(top for top, (split, _) in sorted(sided.items()) if split not in _TRAINED)
        layout.facts.append(_held_out_fact(sum(held_out), others))
    return layout


def _held_out_fact(count: int, names: str) -> Fact:
    return Fact("held out", f"the {count:,} pictures in {names}, instead of a share of all (data.held_out)")


def _splits(tops: set[str]) -> set[str]:
    """The subfolders that are splits (train, test, ...); empty if the subfolders are classes."""
    trained = {top for top in tops if top.lower() in _TRAINED}
    held_out = {top for top in tops if top.lower() in _HELD_OUT}
    return trained | held_out if trained | held_out == tops or (trained and held_out) else set()


def _by_split(layout: Layout, splits: set[str], place: Place) -> None:
    """Mark the pictures that are held out. Raises DataError for splits without classes, or with different classes."""
    order = sorted(splits, key=lambda split: (split.lower() not in _TRAINED, split))
    found: dict[str, set[str]] = {split: set() for split in order}
    for file, name in zip(layout.files, layout.classes or (), strict=True):
        found[_parts(file)[0]].add(name)
    named = " and ".join(found)
    trained = [split for split in found if split.lower() in _TRAINED or len(found) == 1]
    classes = set().union(*(found[split] for split in trained))
    if not classes:
        raise DataError(
            f"{place.root} is divided into {named}, which are no classes, and no training split has subfolders; "
            f"train on one of them with {place.alone(next(iter(found)))}, without --data.labels folders if it has no subfolders"
        )
    for split, names in found.items():
        if more := sorted(names - classes):
            raise DataError(
                f"{place.root / split} has the subfolder {more[0]}, which {' and '.join(trained)} lacks; make the subfolders agree, "
                f"or train on one split with {place.alone(trained[0])}"
            )
    held_out = [int(_parts(file)[0] not in trained) for file in layout.files]
    if any(held_out):
        layout.held_out = held_out
        others = " and ".join(split for split in found if split not in trained)
        layout.facts.append(_held_out_fact(sum(held_out), others))


def by_table(place: Place) -> Layout | None:
    """The classes in a dataset.json of StyleGAN's tools; None if there is no such file."""
    for prefix, data in place.tables():
        where = place.name(TABLE)
        try:
            table = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} is no JSON ({error}); repair it, or set data.labels = none") from None
        if not (isinstance(table, dict) and "labels" in table and _of_stylegan(table["labels"])):
            continue  # of another tool
        place.others[".json"] -= 1
        if table["labels"] is None:
            return Layout(place.files)
        labels = _table_labels(cast("list[object]", table["labels"]), where)
        chosen = [file for file in place.files if prefix + file in labels]
        if not chosen:
            raise DataError(f"{where} names none of the pictures, e.g. {place.files[0]}; set data.labels = none")
        layout = Layout(chosen, [labels[prefix + file] for file in chosen])
        if strays := sorted(set(place.files).difference(chosen)):
            layout.left_out.append(LeftOut(len(strays), "pictures", f"{TABLE} does not name them", strays[0]))
        if gone := sorted(labels.keys() - {prefix + file for file in chosen}):
            layout.left_out.append(LeftOut(len(gone), f"entries of {TABLE}", "there is no such picture", gone[0]))
        return layout
    return None


def _of_stylegan(labels: object) -> bool:
    """Whether the labels of a dataset.json have the form of StyleGAN's: null, or a list of lists."""
    return labels is None or (isinstance(labels, list) and all(isinstance(entry, list) for entry in labels))


def _table_labels(entries: list[object], where: str) -> dict[str, str]:
    """The class of each file in ``[["00000/img00000000.png", 6], ...]``."""
    labels: dict[str, str] = {}
    for entry in entries:
        match entry:
            case [str(name), int(label)]:
                labels[name.replace("\\", "/")] = str(label)
            case _:
                raise DataError(
                    f"{where}: {str(entry)[:60]} is not a file with the number of its class; repair it, or set data.labels = none"
                )
    return labels


class FilesOfPlace(FileSource):
    """Some files of a folder or an archive, each a picture."""

    place: Place
    files: Sequence[str]

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        """The file's path."""
        return self.place.name(self.files[index])

    def _file(self, index: int) -> Path | IO[bytes]:
        return self.place.open(self.files[index])


class PlaceSource(FilesOfPlace):
    """The pictures of a folder or an archive, sorted by path; hidden files and other suffixes are left out."""

    folders_are_labels = True

    def __init__(self, place: Place, settings: ImageSettings) -> None:
        self.place, self.arrays = place, place.arrays
        if not place.files:
            others = sorted(place.others)
            found = f"only {', '.join(others[:5])} files" if others else "no files"
            raise DataError(
                f"no pictures in {place.root}: {found}; looked for {formats.LOOKED_FOR}, .npy, IDX, NPZ, zip and tar files"
            )
        layout = self._layout(settings)
        self.files, self.held_out, classes = list(layout.files), layout.held_out, None
        self._facts = [survey.suffix_fact([os.path.splitext(f)[1].lower() for f in self.files]), *layout.facts]
        self.left_out = [*formats.left_out(place.others), *place.left_out, *layout.left_out]
        if layout.classes is not None:
            classes = self._label(layout.classes, settings)
        self._identity = place.facts(self.files)
        self._survey(str(place.root), settings, classes, self._identity)

    def _layout(self, settings: ImageSettings) -> Layout:
        """The pictures that are used, and their classes."""
        if settings.labels == "folders":
            return by_subfolder(self.place)
        if settings.labels == "none":
            return Layout(self.place.files)
        return by_table(self.place) or Layout(self.place.files, facts=self._advice())

    def _advice(self) -> list[Fact]:
        """What subfolders could mean, where no classes are asked for."""
        tops = {parts[0] for parts in map(_parts, self.place.files) if len(parts) > 1}
        if sided := _sided(tops):
            classes = sorted({side for _, side in sided.values()})
            named = " and ".join(filter(None, (", ".join(classes[:-1]), classes[-1])))
            return [Fact("classes", f"none; --data.labels folders would take {named} from {', '.join(sorted(sided))}")]
        if splits := sorted(_splits(tops)):
            one = self.place.alone(next((s for s in splits if s.lower() in _TRAINED), splits[0]))
            return [Fact("classes", f"none; {' and '.join(splits)} are trained on alike; {one} takes one of them")]
        if len(tops) < 2:
            return []
        return [Fact("classes", f"none; {len(tops):,} subfolders, --data.labels folders would make them classes")]

    def _label(self, names: Sequence[str], settings: ImageSettings) -> list[str]:
        """Set the label of each picture; the names of the classes. Small classes are left out if the settings say so."""
        numbers = all(name.lstrip("-").isdecimal() for name in names) and settings.labels != "folders"
        classes = sorted(set(names), key=int if numbers else None)
        index = {name: i for i, name in enumerate(classes)}
        self.labels = [index[name] for name in names]
        if settings.min_class:
            rows, self.labels, classes, left = large_enough(self.labels, classes, settings.min_class)
            self.files = [self.files[i] for i in rows]
            self.held_out = None if self.held_out is None else [self.held_out[i] for i in rows]
            self.left_out = [*self.left_out, *left]
        if settings.labels == "folders" and self.folders_are_labels:
            counts = Counter(self.labels)
            lonely = next((i for i in range(len(classes)) if counts[i] < 2), None)
            if lonely is not None:
                raise DataError(
                    f"{self.place.root}: class {classes[lonely]} holds one picture, and a class needs two or more; add pictures, or leave "
                    "small classes out with --data.min_class 2"
                )
        return classes

    def fingerprint(self) -> str:
        """Paths below the root, sizes, modification times and classes of all files, and the settings."""
        return self._fingerprint(self._identity, self.labels)

    def describe(self) -> Sequence[Fact]:
        """Counts by suffix, what folders mean, and what headers say."""
        return [self._facts[0], *super().describe(), *self._facts[1:]]


class FolderSource(PlaceSource):
    """Every picture below a folder."""

    def __init__(self, root: Path | Folder, settings: ImageSettings) -> None:
        super().__init__(root if isinstance(root, Folder) else Folder(root), settings)


class ArchiveSource(PlaceSource):
    """Every picture in a zip or tar archive; its folders mean what folders on disk mean."""

    def __init__(self, path: Path, settings: ImageSettings) -> None:
        kind = Zip if path.name.lower().endswith(".zip") else Tar
        super().__init__(kind(path, settings), settings)
