"""Which files of a folder are partners: two folders of files with the same names, with or without splits."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from polygan import DataError, LeftOut, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..archives import Place

TRAINED = frozenset(("train", "training"))
HELD_OUT = frozenset(("test", "testing", "val", "valid", "validation"))
GIVEN = (
    "given", "input", "inputs", "source", "condition", "conditions", "label", "labels", "labelmaps", "mask", "masks", "annotations",
    "segmentation", "a",
)  # fmt: skip
"""Names of folders that hold given pictures. Of two such folders, the folder whose name comes first is given."""
MADE = ("image", "images", "made", "target", "targets", "output", "outputs", "real", "photo", "photos", "b")
"""Names of folders that hold pictures to make, the most telling first."""
_SPLIT_AND_SIDE = re.compile(r"(?i:(train|training|test|testing|val|valid|validation))(?:[_-]|(?=[A-Z]))(.+)")


class Pair(NamedTuple):
    """Two files that belong together."""

    made: str
    given: str
    held_out: int
    """1 for a pair of a split that the source keeps from training."""
    folder: str
    """The folder of both below their side and split; empty: none."""


@dataclass
class Pairing:
    """The pairs of a place, in the order of the files to make."""

    pairs: list[Pair]
    given: str
    """The name of the side that is given."""
    made: str
    splits: bool = False
    """Whether the place has splits of its own."""
    left_out: list[LeftOut] = field(default_factory=list)


class _Found(NamedTuple):
    """A file with what its folders say."""

    file: str
    side: str
    split: str
    rest: str
    """The path below side and split."""


def paired(place: Place, given: str = "") -> Pairing:
    """The pairs in two folders of ``place``; ``given`` names the given folder, empty: by `GIVEN`.

    Sides may lie above splits (``A/train``), below splits (``train/A``) or beside them (``trainA``). Raises DataError where there are
    no two sides, where no name tells which is given, and where no files pair.
    """
    found, strays = _sides_of(place.files)
    by_side: dict[str, list[_Found]] = defaultdict(list)
    for one in found:
        by_side[one.side].append(one)
    given, made = _chosen(place, list(by_side), given)
    pairing = Pairing([], given, made, splits=any(one.split for one in (*by_side[given], *by_side[made])))
    if strays:
        pairing.left_out.append(
            LeftOut(len(strays), "pictures outside the two folders", "they are no pairs", strays[0])
        )
    for side in sorted(set(by_side) - {given, made}):
        files = by_side[side]
        why = f"{given} is given and {made} is made"
        pairing.left_out.append(LeftOut(len(files), f"pictures in {side}", why, files[0].file))
    _match(place, pairing, by_side[made], by_side[given])
    return pairing


def _parts(file: str) -> list[str]:
    return file.replace(os.sep, "/").split("/")


def _is_split(name: str) -> bool:
    return name.lower() in TRAINED | HELD_OUT


def _sides_of(files: Sequence[str]) -> tuple[list[_Found], list[str]]:
    """Each file with its side and split, and the files that lie in no folder."""
    within = [(file, parts) for file in files if len(parts := _parts(file)) > 1]
    strays = [file for file in files if len(_parts(file)) < 2]
    tops = {parts[0] for _, parts in within}
    joined = {top: match for top in tops if (match := _SPLIT_AND_SIDE.fullmatch(top))}
    if tops and joined.keys() == tops and len({match[2] for match in joined.values()}) == 2:
        return [
            _Found(f, joined[p[0]][2], joined[p[0]][1], "/".join(p[1:])) for f, p in within
        ], strays  # trainA, testB
    if tops and all(map(_is_split, tops)):
        strays += [file for file, parts in within if len(parts) < 3]
        return [_Found(f, p[1], p[0], "/".join(p[2:])) for f, p in within if len(p) > 2], strays  # train/A
    below = {top: all(len(p) > 2 and _is_split(p[1]) for _, p in within if p[0] == top) for top in tops}
    return [
        _Found(f, p[0], p[1], "/".join(p[2:])) if below[p[0]] else _Found(f, p[0], "", "/".join(p[1:]))
        for f, p in within
    ], strays  # A/train, or A


def _chosen(place: Place, sides: Sequence[str], given: str) -> tuple[str, str]:
    """The names of the given and the made side. Raises DataError where they do not follow from the names."""
    shown = ", ".join(sorted(sides)) or "none"
    if len(sides) < 2:
        raise DataError(
            f"data.pairs = folders needs two folders with pictures in {place.root}, and there is {shown}; put the given pictures "
            "into a folder given, and the pictures to make into a folder image, under the same names"
        )
    named = next((side for side in sides if side.lower() == given.lower()), "") if given else _first(sides, GIVEN)
    if given and not named:
        raise DataError(
            f"data.given = {given!r} is no folder with pictures in {place.root}{did_you_mean(given, sides)}; there are {shown}"
        )
    others = [side for side in sides if side != named]
    made = others[0] if named and len(others) == 1 else _first(others, MADE)
    if not named and made and len(sides) == 2:
        named = next(side for side in sides if side != made)
    if not named:
        raise DataError(
            f"{place.root} has the folders {shown}, and no name tells which holds the given pictures; type e.g. "
            f"--data.given {sorted(sides)[0]}"
        )
    if not made:
        raise DataError(
            f"{place.root} has the folders {shown}, and pairs need two; call the folder of the pictures to make image, or remove the others"
        )
    return named, made


def _first(sides: Sequence[str], names: Sequence[str]) -> str:
    known = {side.lower(): side for side in sides}
    return next((known[name] for name in names if name in known), "")


def _match(place: Place, pairing: Pairing, made: Sequence[_Found], given: Sequence[_Found]) -> None:
    """Fill in the pairs: files of the same split and name, with the same suffix where there are several."""
    whole, stems = _by_name(given)
    _, own_stems = _by_name(made)
    used: set[str] = set()
    lonely: list[str] = []
    for one in made:
        key = one.split.lower(), one.rest
        stem = key[0], _stem(one.rest)
        alone = len(stems[stem]) == 1 and len(own_stems[stem]) == 1
        partner = whole.get(key) or (stems[stem][0] if alone else None)
        if partner is None:
            lonely.append(one.file)
            continue
        used.add(partner)
        folder = _parts(one.rest)[0] if "/" in one.rest else ""
        pairing.pairs.append(Pair(one.file, partner, int(one.split.lower() in HELD_OUT), folder))
    without = [one.file for one in given if one.file not in used]
    if not pairing.pairs:
        raise DataError(
            f"none of the {len(made):,} pictures in {pairing.made} has a partner of the same name in {pairing.given} "
            f"({place.name(made[0].file)}, {place.name(given[0].file)}); give partners the same names. Two sides without partners are "
            "read with --data.labels folders"
        )
    for side, other, files in ((pairing.made, pairing.given, lonely), (pairing.given, pairing.made, without)):
        if files:
            why = f"{other} has no partner of the same name"
            pairing.left_out.append(LeftOut(len(files), f"pictures in {side}", why, files[0]))
    if all(
        pair.held_out for pair in pairing.pairs
    ):  # a place with held-out pictures alone has nothing else to train on
        pairing.pairs = [pair._replace(held_out=0) for pair in pairing.pairs]
        pairing.splits = False


def _by_name(found: Sequence[_Found]) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], list[str]]]:
    """Files by (split, name), and by (split, name without suffix)."""
    whole, stems = {}, defaultdict(list)
    for one in found:
        whole[one.split.lower(), one.rest] = one.file
        stems[one.split.lower(), _stem(one.rest)].append(one.file)
    return whole, stems


def _stem(name: str) -> str:
    """A name without its suffix, of which ``.nii.gz`` has two parts."""
    return os.path.splitext(name.removesuffix(".gz") if name.lower().endswith(".nii.gz") else name)[0]
