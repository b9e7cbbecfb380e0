"""The source of stored pairs: two sources in step, one for what is made and one for what is given."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from polygan import ConfigError, DataError, Fact, LeftOut, Source

from ..archives import Folder, Tar, Zip
from ..formats import LOOKED_FOR, is_archive, left_out
from ..sources import large_enough
from . import labels
from .layout import HELD_OUT, TRAINED, Pair, Pairing, paired
from .sides import GivenSide, Side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from polygan import Field

    from ..archives import Place
    from ..settings import Given, ImageSettings
    from ..volumes.source import VolumeSource

_OTHER_HALF = {"left": "right", "right": "left"}


class PairedSource(Source):
    """Pictures ``made`` with the pictures ``given`` beside them, row by row: the fields of ``made`` and ``given``.

    The field ``image`` of ``given`` becomes ``given``, and ``size`` becomes ``given_size``. ``facts`` come first in `describe`.
    """

    def __init__(
        self,
        made: Side | VolumeSource,
        given: GivenSide | VolumeSource,
        pairs: str,
        facts: Sequence[Fact],
        left_out: Sequence[LeftOut],
    ) -> None:
        self.made, self.given_side, self._facts = made, given, list(facts)
        fields: dict[str, Field] = dict(made.fields)
        self._names = {name: "given" if name == "image" else f"given_{name}" for name in given.fields}
        fields |= {new: given.fields[name] for name, new in self._names.items()}
        self.fields = fields
        self._extra = {"pairs": pairs, "given": given_facts(given)}
        self.info = {**made.info, **self._extra}
        self.left_out = [*left_out, *made.left_out, *(given.left_out if not made.half else ())]
        self._check_sizes()

    def _check_sizes(self) -> None:
        """Refuse sides whose pictures have one size each, and not the same."""
        sizes = [(side.info.get("width"), side.info.get("height")) for side in (self.made, self.given_side)]
        if sizes[0] != sizes[1]:
            made, given = (f"{w}x{h}" for w, h in sizes)
            raise DataError(
                f"the pictures to make are {made} and the given pictures {given}, e.g. {self.made.name(0)} and {self.given_side.name(0)}; "
                "set data.resolution, e.g. --data.resolution 64"
            )

    def __len__(self) -> int:
        return len(self.made)

    def name(self, index: int) -> str:
        """The file of the picture to make."""
        return self.made.name(index)

    def fingerprint(self) -> str:
        """Of both sides."""
        both = repr(("pairs", self.made.fingerprint(), self.given_side.fingerprint()))
        return hashlib.blake2b(both.encode(), digest_size=16).hexdigest()

    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """The arrays of both partners. Raises DataError for a partner that cannot be read, or has another shape."""
        self._check_shape(index)
        sample = dict(self.made.decode(index))
        try:
            given = self.given_side.decode(index)
        except (DataError, OSError) as error:
            if self.made.half:
                raise
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"its partner {self.given_side.name(index)} {_clause(str(reason))}") from None
        return sample | {new: given[name] for name, new in self._names.items()}

    def _check_shape(self, index: int) -> None:
        """Partners of different shapes would not lie on each other after a crop or on bars."""
        s = self.made.settings
        if self.made.half or (s.fit == "stretch" and s.resolution):
            return
        made, given = self.made.size_of(index), self.given_side.size_of(index)
        if made is None or given is None or made == given or (s.resolution and _same_shape(made, given)):
            return
        remedy = "make their sizes agree, or set data.resolution and data.fit = stretch"
        raise DataError(
            f"{made[0]}x{made[1]} pixels, and its partner {self.given_side.name(index)} has {given[0]}x{given[1]}; {remedy}"
        )

    def info_without(self, skipped: Sequence[int]) -> dict[str, Any]:
        """`info` without the skipped pairs in the counts of classes."""
        return {**self.made.info_without(skipped), **self._extra}

    def describe(self) -> Sequence[Fact]:
        """Which side is given, then both sides."""
        counted = self.given_side.counted
        own = [fact for fact in self.given_side.describe() if counted is None or fact.name not in ("channels", "alpha")]
        if counted is not None:
            pixels = dict(zip(counted.classes.names, counted.pixels, strict=True))
            why = ""
            if self.made.settings.given_labels == "auto":
                why = "; the files share a palette, and --data.given_labels false would take them for pictures"
            own.append(Fact("classes", f"{labels.shares(pixels)}{why}"))
        if self.made.half:
            own = [fact for fact in own if fact.name in ("channels", "alpha", "classes")]
        made = list(self.made.describe())
        if "axis" in self.made.info:  # of two volumes, most facts are the same
            own = [fact for fact in own if fact not in made]
        return [*self._facts, *made, *(Fact(f"given {fact.name}", fact.text) for fact in own)]


def _clause(reason: str) -> str:
    """A reason as the rest of a sentence about a file."""
    return reason if reason.startswith(("has ", "is ", "cannot ", "holds ")) else f"cannot be used: {reason}"


def _same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes are scaled copies of each other, to within a pixel."""
    (w, h), (width, height) = sorted((one, other))
    return abs(height * w / width - h) <= 1 or abs(width * h / height - w) <= 1


def given_facts(side: GivenSide | VolumeSource) -> Given:
    """The facts of given pictures, as runs keep them."""
    if side.counted is not None:
        return side.counted.classes.facts()
    found: Given = {"channels": side.info["channels"]}
    if "window" in side.info:
        found["window"] = side.info["window"]
    if "dtype" in side.info:
        found["dtype"] = side.info["dtype"]
    return found


# Opening


class _Rows(NamedTuple):
    """Which files pair, with what is known of each pair."""

    pairs: Sequence[Pair]
    held_out: Sequence[int] | None
    labels: Sequence[int] | None
    classes: Sequence[str] | None
    left_out: list[LeftOut]


def paired_source(settings: ImageSettings, place: Place | None = None) -> PairedSource:
    """The pairs in a folder (``place``) or an archive. Raises ConfigError for data of another kind, and DataError where nothing pairs."""
    path = Path(settings.source).expanduser()
    if not (path.is_dir() or (path.is_file() and is_archive(path.name))):
        raise ConfigError(
            f"data.pairs = {settings.pairs} reads a folder or an archive of pictures, and {settings.source!r} is neither; name another, "
            "or leave --data.pairs out"
        )
    if place is None:
        place = Folder(path) if path.is_dir() else (Zip if path.name.lower().endswith(".zip") else Tar)(path, settings)
    if not place.files:
        raise DataError(f"no pictures in {place.root}; looked for {LOOKED_FOR}")
    pairing = paired(place, settings.given) if settings.pairs == "folders" else _halves(place)
    rows = _rows(pairing, settings)
    half = settings.pairs if settings.pairs in _OTHER_HALF else ""
    common = replace(settings, pairs="", given="", factor=2, given_window="")
    made = Side(
        place, [p.made for p in rows.pairs], common, _OTHER_HALF.get(half, ""),
        held_out=rows.held_out, labels=rows.labels, classes=rows.classes,
    )  # fmt: skip
    theirs = replace(common, channels=0, labels="none", min_class=0, window=settings.given_window)
    given = GivenSide(place, [p.given for p in rows.pairs], theirs, half)
    away = [*left_out(place.others), *place.left_out, *pairing.left_out, *rows.left_out]
    return PairedSource(made, given, settings.pairs, _facts(pairing, rows, half), away)


def _facts(pairing: Pairing, rows: _Rows, half: str) -> list[Fact]:
    n = f"{len(rows.pairs):,}"
    if half:
        text = f"{n} pictures in halves: the {half} half is given, the {_OTHER_HALF[half]} half is made"
    else:
        other = pairing.given
        text = f"{n}: pictures in {other} are given, pictures in {pairing.made} are made; --data.given {pairing.made} turns the pairs round"
    facts = [Fact("pairs", text)]
    if rows.held_out is not None:
        text = f"the {sum(rows.held_out):,} pairs of the folders for tests, instead of a share of all (data.held_out)"
        facts.append(Fact("held out", text))
    return facts


def _halves(place: Place) -> Pairing:
    """Each file with itself. Folders called train and test are splits, if every picture lies in one of them."""
    tops = {file.split("/")[0].lower() if "/" in file else "" for file in place.files}
    splits = bool(tops & TRAINED and tops & HELD_OUT and tops <= TRAINED | HELD_OUT)
    pairs = []
    for file in place.files:
        parts = file.split("/")
        below = parts[1:] if splits else parts
        held_out = int(splits and parts[0].lower() in HELD_OUT)
        pairs.append(Pair(file, file, held_out, below[0] if len(below) > 1 else ""))
    return Pairing(pairs, "", "", splits)


def _rows(pairing: Pairing, settings: ImageSettings) -> _Rows:
    """The pairs that are used: those of large enough classes, where folders are classes."""
    pairs, names, away = pairing.pairs, None, []
    numbers: list[int] | None = None
    if settings.labels == "folders":
        known = [pair for pair in pairs if pair.folder]
        if not known:
            raise DataError(
                "data.labels = folders needs a subfolder for each class inside both sides of the pairs, and there is none; use auto or none"
            )
        if strays := [pair for pair in pairs if not pair.folder]:
            why = "with data.labels = folders the subfolder is the class"
            away.append(LeftOut(len(strays), "pairs outside the class folders", why, strays[0].made))
        pairs, names = known, sorted({pair.folder for pair in known})
        numbers = [names.index(pair.folder) for pair in pairs]
        if settings.min_class:
            kept, numbers, names, left = large_enough(numbers, names, settings.min_class)
            pairs, away = [pairs[i] for i in kept], [*away, *left]
    held_out = [pair.held_out for pair in pairs]
    return _Rows(pairs, held_out if any(held_out) else None, numbers, names, away)
